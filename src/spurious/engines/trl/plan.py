"""From a RunSpec to TRL's words: what is passed on, what cannot be done and is refused, and what is done then."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from spurious.errors import SpecError
from spurious.grpo.operators import effective_operators
from spurious.specs import RunSpec

SUPPORTED = "1.16"
"""The minor version whose private hooks this engine leans on; see `trainer.py` and its tests."""

_LOSS = {"sequence": "grpo", "token": "dapo", "constant": "dr_grpo"}
"""TRL's loss type for each length norm. For `dapo` we say the number of tokens ourselves: those of the update."""


def installed_trl() -> str:
    """The version of TRL that is installed.

    Raises:
        SpecError: there is none, or one that this engine was not tested with.
    """
    try:
        found = version("trl")
    except PackageNotFoundError as error:
        raise SpecError("engine: trl is not installed; pip install 'spurious[trl]'") from error
    if found.rpartition(".")[0] != SUPPORTED:
        raise SpecError(f"engine: trl {found} is installed, and this engine is written for trl {SUPPORTED}")
    return found


@dataclass(frozen=True, slots=True)
class Passes:
    """How the rows of one update are cut."""

    rows: int
    """Completions in one forward and backward pass of one process."""
    each_update: int
    """Passes of every process in one update: TRL's gradient accumulation."""


def check(spec: RunSpec, processes: int) -> None:
    """Refuse what TRL's trainer cannot do as the specification says it.

    Raises:
        SpecError: the field at fault and what to do.
    """
    grpo = spec.grpo
    sampled = grpo.prompts_per_rollout * grpo.group_size
    if grpo.surrogate != "ratio":
        raise SpecError(f"grpo.surrogate: TRL has only the ratio, not {grpo.surrogate}; use --engine own")
    if grpo.null_updates != "step":
        raise SpecError("grpo.null_updates: TRL steps on a zero gradient; 'skip' needs --engine own")
    if grpo.prompts_per_rollout < processes:
        raise SpecError(
            f"grpo.prompts_per_rollout: {grpo.prompts_per_rollout} prompts cannot be shared by {processes} processes "
            "in whole groups"
        )
    if sampled % (grpo.updates_per_rollout * processes):
        raise SpecError(
            f"grpo.updates_per_rollout: TRL needs updates of one size, the same in every process: {sampled} "
            f"completions do not make {grpo.updates_per_rollout} updates on {processes} processes"
        )
    if spec.trl.sampler == "vllm":
        _check_vllm(spec)
    elif spec.trl.vllm:
        raise SpecError("trl.vllm: has no effect without trl.sampler vllm")


def _check_vllm(spec: RunSpec) -> None:
    if spec.sampling.stop:
        raise SpecError("sampling.stop: TRL's vLLM generation does not say which stop string ended a completion")
    if spec.sampling.top_p != 1 and spec.grpo.old_logprobs == "sampler":
        raise SpecError(
            "grpo.old_logprobs: vLLM reports probabilities after top_p, which are not the policy's; use recomputed"
        )
    hidden = sorted(name for name in spec.trl.vllm if name.startswith("importance_sampling"))
    if hidden:
        raise SpecError(
            f"trl.vllm.{hidden[0]}: a filter on the ratio that the estimator does not know; grpo.old_logprobs says "
            "what the ratio is taken against"
        )


def check_entropy(spec: RunSpec, passes: Passes, processes: int) -> None:
    """TRL averages the entropy over the tokens of a pass: ours only where an update is one pass and norm is token.

    Raises:
        SpecError: it would be another operator than the specification's.
    """
    if spec.grpo.entropy_bonus and (spec.grpo.length_norm != "token" or passes.each_update * processes > 1):
        raise SpecError(
            "grpo.entropy_bonus: TRL averages it over the tokens of each pass; that is this estimator only with "
            f"length_norm token and one pass an update (here {spec.grpo.length_norm}, {passes.each_update} passes, "
            f"{processes} processes)"
        )


def passes(spec: RunSpec, processes: int, longest_prompt: int) -> Passes:
    """As many rows a pass as the token budget holds at full length; they divide the rows of an update evenly."""
    grpo = spec.grpo
    each = grpo.prompts_per_rollout * grpo.group_size // (grpo.updates_per_rollout * processes)
    most = max(1, spec.token_budget // (longest_prompt + spec.sampling.max_tokens))
    rows = max(rows for rows in range(1, each + 1) if each % rows == 0 and rows <= most)
    return Passes(rows, each // rows)


def arguments(spec: RunSpec, passes: Passes, updates: int, *, cuda: bool) -> dict[str, Any]:
    """What `trl.GRPOConfig` is told, apart from where it writes; every operator that has a default of its own too."""
    grpo = spec.grpo
    absent = float("inf")
    return {
        "per_device_train_batch_size": passes.rows,
        "gradient_accumulation_steps": passes.each_update,
        "steps_per_generation": passes.each_update * grpo.updates_per_rollout,
        "num_generations": grpo.group_size,
        "num_iterations": 1,
        "max_steps": updates,
        "max_completion_length": spec.sampling.max_tokens,
        "temperature": spec.sampling.temperature,
        "top_p": spec.sampling.top_p,
        "loss_type": _LOSS[grpo.length_norm],
        "epsilon": absent if grpo.clip_low is None else grpo.clip_low,
        "epsilon_high": absent if grpo.clip_high is None else grpo.clip_high,
        "delta": None,
        "importance_sampling_level": "token",
        "scale_rewards": "none",
        "beta": grpo.kl,
        "use_bias_correction_kl": False,
        "entropy_coef": grpo.entropy_bonus,
        "use_adaptive_entropy": False,
        "top_entropy_quantile": 1.0,
        "mask_truncated_completions": False,
        "off_policy_mask_threshold": None,
        "router_aux_loss_coef": 0.0,
        "max_grad_norm": absent if grpo.max_grad_norm is None else grpo.max_grad_norm,
        "learning_rate": grpo.lr,
        "disable_dropout": True,
        "activation_checkpointing": spec.policy.gradient_checkpointing,
        "ddp_find_unused_parameters": False,
        "bf16": spec.dtype == "bfloat16",
        "use_cpu": not cuda,
        "shuffle_dataset": False,
        "seed": spec.seed % 2**32,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_vllm": spec.trl.sampler == "vllm",
        "vllm_importance_sampling_correction": False,
        **({"model_init_kwargs": {"revision": spec.revision}} if grpo.kl and spec.revision else {}),
        **_vllm(spec.trl.vllm),
    }


def _vllm(settings: Mapping[str, Any]) -> dict[str, Any]:
    if not settings:
        return {}
    from trl import GRPOConfig

    known = {field.name.removeprefix("vllm_") for field in fields(GRPOConfig) if field.name.startswith("vllm_")}
    if unknown := sorted(settings.keys() - known):
        raise SpecError(f"trl.vllm.{unknown[0]}: TRL has no setting vllm_{unknown[0]}")
    return {f"vllm_{name}": value for name, value in settings.items()}


def operators(spec: RunSpec, processes: int, passes: Passes, *, in_shards: bool) -> list[str]:
    """The effective operators of a run on TRL, for the manifest."""
    rows = f"{passes.rows} completions a pass, {passes.each_update} passes an update and process"
    return [
        *effective_operators(spec.grpo, spec.policy, every_row=True),
        f"engine: TRL {installed_trl()} GRPOTrainer, loss_type {_LOSS[spec.grpo.length_norm]}; advantages, rows of an "
        "update, optimizer and learning rate are ours",
        f"processes: {processes}, whole groups in each; {rows}",
        *(["weights, gradients and moments in shards (FSDP 2)"] if in_shards else []),
        {"own": "sampler: own, keyed draws", "vllm": "sampler: vLLM, whose draws are its own"}[spec.trl.sampler],
        "no importance-sampling correction, no mask of truncated completions, no dropout, no router loss",
        *(["every weight is trained"] if spec.policy.lora is None else []),
    ]
