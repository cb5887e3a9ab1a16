"""verl 0.9.1: Hydra overrides of `verl.trainer.main_ppo`, parquet, a reward file, a script."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from spurious.engines.adapters import verl
from spurious.engines.export.files import HERE, REWARD, write_record, write_reward, write_script
from spurious.engines.export.job import BENCH, Asked, Job, check_common, refuse
from spurious.store.files import replacing

VERSION = "0.9.1"
NAME = "verl"
OFF = 1e9
"""In the place of a bound that ours does not have."""
VERBATIM = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""A chat template that adds nothing: the prompt's text is already what the model reads."""

_ADVANTAGES = {"group_std": ("grpo", True), "group_mean": ("grpo", False), "rloo": ("rloo", False)}
_AGGREGATION = {"sequence": "seq-mean-token-mean", "token": "token-mean", "constant": "seq-mean-token-sum-norm"}
_BODY = f"""from spurious.engines.adapters.verl import reward_func

TRAIN = reward_func(REWARD, **OPTIONS)
BENCH = reward_func("ground_truth", extraction="lenient")


def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    pay = BENCH if data_source.startswith({BENCH!r}) else TRAIN
    return pay(data_source, solution_str, ground_truth, extra_info, **kwargs)
"""


def write(job: Job, out: Path, gpus: int) -> None:
    """Write the files of one run.

    Raises:
        SpecError: verl cannot do what a field says, or cannot show the reward what it reads.
        RewardError: a user's file cannot be used.
    """
    words = [f"{name}={hydra(value)}" for name, value in overrides(job, gpus).items()]
    verl.reward_func(job.spec.reward, one_by_one=job.one_by_one)
    _write_rows(out / "data" / "train.parquet", job.train, "train")
    for bench, rows in job.benches:
        _write_rows(out / "data" / f"{bench.slug}.parquet", rows, "test")
    write_reward(job, out, _BODY)
    write_script(
        out, f"Made by `spurious export --to verl` for verl {VERSION}", "python3 -m verl.trainer.main_ppo", words
    )
    write_record(job, out, NAME, VERSION, notes(job))


def overrides(job: Job, gpus: int) -> dict[str, Any]:
    """Every setting that verl needs to do what the specification says, by its dotted name.

    Raises:
        SpecError: names the field that verl cannot do.
    """
    check_common(job, NAME)
    spec, grpo = job.spec, job.spec.grpo
    _check(job)
    estimator, by_std = _ADVANTAGES[grpo.advantage]
    needs_reference = grpo.kl > 0 or spec.measure_kl
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    return {
        "data.train_files": [f"{HERE}/data/train.parquet"],
        "data.train_batch_size": grpo.prompts_per_rollout,
        "data.shuffle": False,
        "data.seed": spec.seed,
        "data.max_prompt_length": job.longest,
        "data.max_response_length": spec.sampling.max_tokens,
        "data.truncation": "error",
        "actor_rollout_ref.model.path": job.model,
        "actor_rollout_ref.model.custom_chat_template": VERBATIM,
        "algorithm.adv_estimator": estimator,
        "algorithm.norm_adv_by_std_in_grpo": by_std,
        "algorithm.use_kl_in_reward": False,
        "algorithm.rollout_correction.bypass_mode": grpo.old_logprobs == "sampler",
        f"{actor}.ppo_mini_batch_size": grpo.prompts_per_rollout // grpo.updates_per_rollout,
        f"{actor}.ppo_epochs": 1,
        f"{actor}.shuffle": not grpo.keep_groups_together,
        f"{actor}.data_loader_seed": spec.seed,
        f"{actor}.use_dynamic_bsz": True,
        f"{actor}.ppo_max_token_len_per_gpu": max(spec.token_budget, job.longest + spec.sampling.max_tokens),
        f"{actor}.clip_ratio_low": OFF if grpo.clip_low is None else grpo.clip_low,
        f"{actor}.clip_ratio_high": OFF if grpo.clip_high is None else grpo.clip_high,
        f"{actor}.clip_ratio_c": OFF,
        f"{actor}.policy_loss.loss_mode": "vanilla",
        f"{actor}.loss_agg_mode": _AGGREGATION[grpo.length_norm],
        f"{actor}.loss_scale_factor": spec.sampling.max_tokens if grpo.length_norm == "constant" else None,
        f"{actor}.use_kl_loss": needs_reference,
        f"{actor}.kl_loss_coef": grpo.kl,
        f"{actor}.kl_loss_type": "low_var_kl",
        f"{actor}.entropy_coeff": grpo.entropy_bonus,
        f"{actor}.grad_clip": grpo.max_grad_norm or OFF,
        f"{actor}.optim.lr": grpo.lr,
        f"{actor}.optim.betas": list(grpo.betas),
        f"{actor}.optim.weight_decay": grpo.weight_decay,
        f"{actor}.optim.clip_grad": grpo.max_grad_norm or OFF,
        f"{actor}.optim.lr_scheduler_type": "constant",
        f"{actor}.optim.lr_warmup_steps": grpo.warmup_updates,
        f"{actor}.optim.override_optimizer_config": {"eps": grpo.adam_eps},
        f"{actor}.fsdp_config.dtype": spec.dtype,
        f"{actor}.fsdp_config.seed": spec.seed,
        f"{rollout}.name": "vllm",
        f"{rollout}.n": grpo.group_size,
        f"{rollout}.temperature": spec.sampling.temperature,
        f"{rollout}.top_p": spec.sampling.top_p,
        f"{rollout}.dtype": spec.dtype,
        f"{rollout}.seed": spec.seed,
        f"{rollout}.max_num_seqs": spec.sampling_rows,
        f"{rollout}.tensor_model_parallel_size": 1,
        f"{rollout}.calculate_log_probs": True,
        "reward.custom_reward_function.path": f"{HERE}/{REWARD}",
        "reward.custom_reward_function.name": "compute_score",
        "trainer.total_epochs": 1,
        "trainer.total_training_steps": spec.steps,
        "trainer.n_gpus_per_node": gpus,
        "trainer.nnodes": 1,
        "trainer.save_freq": spec.save_every or -1,
        "trainer.logger": ["console"],
        "trainer.project_name": "spurious",
        "trainer.experiment_name": job.fingerprint,
        "trainer.default_local_dir": f"{HERE}/checkpoints",
        "trainer.rollout_data_dir": f"{HERE}/rollouts",
        "trainer.validation_data_dir": f"{HERE}/evals",
        **_validation(job),
    }


def _check(job: Job) -> None:
    spec, grpo = job.spec, job.spec.grpo
    if grpo.advantage not in _ADVANTAGES:
        raise refuse(NAME, "grpo.advantage", f"has no {grpo.advantage!r}, only {', '.join(_ADVANTAGES)}")
    if grpo.whiten:
        raise refuse(NAME, "grpo.whiten", "does not normalize the advantages of GRPO again")
    if grpo.schedule != "constant":
        raise refuse(NAME, "grpo.schedule", "has a constant or a cosine learning rate with FSDP, no linear one")
    if grpo.prompts_per_rollout % grpo.updates_per_rollout:
        raise refuse(
            NAME,
            "grpo.updates_per_rollout",
            f"counts an update in whole prompts, and {grpo.prompts_per_rollout} are not divided by "
            f"{grpo.updates_per_rollout}",
        )
    if spec.sampling.include_stop:
        raise refuse(NAME, "sampling.include_stop", "passes no stop strings on to its sampler")


def _validation(job: Job) -> dict[str, Any]:
    files = [f"{HERE}/data/{bench.slug}.parquet" for bench, _ in job.benches]
    if not files:  # verl asks for a file even where nothing is validated
        off = {"trainer.val_before_train": False, "trainer.test_freq": -1}
        return {"data.val_files": [f"{HERE}/data/train.parquet"], **off}
    bench = job.benches[0][0]
    settings = "actor_rollout_ref.rollout.val_kwargs"
    return {
        "data.val_files": files,
        "data.validation_shuffle": False,
        f"{settings}.n": bench.k,
        f"{settings}.temperature": bench.sampling.temperature,
        f"{settings}.top_p": bench.top_p,
        f"{settings}.do_sample": bench.sampling.temperature > 0,
        "trainer.val_before_train": True,
        "trainer.test_freq": job.spec.eval_every or job.spec.steps,
    }


def notes(job: Job) -> list[str]:
    """What verl does otherwise than our engine, in words."""
    grpo = job.spec.grpo
    said = [
        "log ratio clamped to -20 and 20: cannot be switched off",
        f"bounds that ours does not have are {OFF:g} (dual clip always, others where the specification says null)",
        "sampling, batching and arithmetic are verl's: the texts differ from ours under the same seed",
        "draws of the reward are fresh at every call and marked in the rollouts; they are not those of our engine",
    ]
    if grpo.advantage == "group_std":
        said.append("1e-6, not 1e-9, is added to a group's standard deviation")
    if grpo.kl or job.spec.measure_kl:
        said.append("the divergence to the initial policy is clamped to -10 and 10 at each token")
    if grpo.old_logprobs == "sampler":
        said.append("old log-probabilities are vLLM's (rollout_correction.bypass_mode), no importance correction")
    return said


def hydra(value: Any) -> str:
    """A value in Hydra's override grammar; every text is quoted."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{hydra(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(hydra, value)) + "]"
    return repr(value)


def _write_rows(path: Path, rows: Sequence[Asked], split: str) -> None:
    """The columns of verl; `extra_info` holds what our reward reads."""
    table = pl.DataFrame(
        [
            {
                "data_source": one.told.problem.source,
                "prompt": [{"role": "user", "content": one.text}],
                "ability": one.told.problem.kind or "math",
                "reward_model": {"style": "rule", "ground_truth": one.told.label},
                "extra_info": {"split": split, "index": i, **one.told.row},
            }
            for i, one in enumerate(rows)
        ]
    )
    with replacing(path) as temporary:
        table.write_parquet(temporary)
