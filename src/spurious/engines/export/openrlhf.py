"""OpenRLHF 0.11.2: arguments of `openrlhf.cli.train_ppo_ray`, JSONL, a reward file, a script."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spurious.engines.adapters import openrlhf
from spurious.engines.export.files import HERE, REWARD, write_record, write_reward, write_script
from spurious.engines.export.job import BENCH, Asked, Job, check_common, refuse
from spurious.store.files import write_text

VERSION = "0.11.2"
NAME = "OpenRLHF"
OFF = 1e9
"""In the place of a bound that ours does not have."""

_ADVANTAGES = {
    ("group_std", False): "group_norm",
    ("group_mean", False): "dr_grpo",
    ("group_mean", True): "reinforce_baseline",
    ("rloo", False): "rloo",
}
"""(advantage, whiten) -> estimator."""
_AGGREGATION = {"sequence": "seq-mean-token-mean", "token": "token-mean"}
_BODY = """from spurious.engines.adapters.openrlhf import reward_func as make

ENDS = {ends!r}
TRAIN = make(REWARD, records=HERE / "rollouts", ends=ENDS, **OPTIONS)
BENCH = make("ground_truth", records=HERE / "evals", ends=ENDS, extraction="lenient")


def reward_func(queries, prompts, labels, **kwargs):
    pay = BENCH if {bench!r} in labels[0] else TRAIN
    return pay(queries, prompts, labels, **kwargs)
"""


def write(job: Job, out: Path, gpus: int) -> None:
    """Write the files of one run.

    Raises:
        SpecError: OpenRLHF cannot do what a field says, or cannot show the reward what it reads.
        RewardError: a user's file cannot be used.
    """
    words = [word for name, value in arguments(job, gpus).items() for word in (f"--{name}", *_words(value))]
    openrlhf.reward_func(job.spec.reward, records=out / "rollouts", one_by_one=job.one_by_one)
    _write_rows(out / "data" / "train.jsonl", job.train, "train")
    for bench, rows in job.benches:
        _write_rows(out / "data" / f"{bench.slug}.jsonl", rows, bench.slug)
    write_reward(job, out, _BODY.format(ends=list(job.ends), bench=f'"source": "{BENCH}'))
    comment = f"Made by `spurious export --to openrlhf` for OpenRLHF {VERSION}"
    write_script(out, comment, "python3 -m openrlhf.cli.train_ppo_ray", words)
    write_record(job, out, NAME, VERSION, notes(job))


def arguments(job: Job, gpus: int) -> dict[str, Any]:
    """Every argument that OpenRLHF needs to do what the specification says; True for a switch.

    Raises:
        SpecError: names the field that OpenRLHF cannot do.
    """
    check_common(job, NAME)
    _check(job)
    spec, grpo = job.spec, job.spec.grpo
    batch = grpo.prompts_per_rollout * grpo.group_size // grpo.updates_per_rollout
    length = job.longest + spec.sampling.max_tokens
    said: dict[str, Any] = {
        "actor.model_name_or_path": job.model,
        "data.prompt_dataset": f"{HERE}/data/train.jsonl",
        "data.input_key": "prompt",
        "data.label_key": "label",
        "data.max_len": length,
        "data.max_samples": len(job.train),
        "reward.remote_url": f"{HERE}/{REWARD}",
        "reward.clip_range": [-OFF, OFF],
        "algo.advantage.estimator": _ADVANTAGES[grpo.advantage, grpo.whiten],
        "algo.advantage.is_correction_level": "off",
        "algo.kl.init_coef": grpo.kl,
        "algo.kl.estimator": "k3" if grpo.kl else "k1",
        "actor.eps_clip_low_high": [_or_off(grpo.clip_low), _or_off(grpo.clip_high)],
        "actor.loss_agg_mode": _AGGREGATION[grpo.length_norm],
        "actor.adam.lr": grpo.lr,
        "actor.adam.betas": list(grpo.betas),
        "actor.adam.eps": grpo.adam_eps,
        "actor.adam.weight_decay": grpo.weight_decay,
        "actor.lr_scheduler": _schedule(grpo.schedule, grpo.warmup_updates),
        "actor.lr_warmup_ratio": grpo.warmup_updates / (spec.steps * grpo.updates_per_rollout),
        "actor.max_norm": grpo.max_grad_norm or OFF,
        "rollout.batch_size": grpo.prompts_per_rollout,
        "rollout.n_samples_per_prompt": grpo.group_size,
        "rollout.temperature": spec.sampling.temperature,
        "rollout.top_p": spec.sampling.top_p,
        "rollout.max_new_tokens": spec.sampling.max_tokens,
        "rollout.max_tokens_per_gpu": max(spec.token_budget, length),
        "train.batch_size": batch,
        "train.max_epochs": 1,
        "train.num_episodes": 1,
        "train.seed": spec.seed,
        "train.max_tokens_per_gpu": max(spec.token_budget, length),
        "train.dynamic_batch_enable": True,
        "train.colocate_all": True,
        "ds.packing_samples": True,
        "ds.param_dtype": "bf16",
        "ds.enable_sleep": True,
        "vllm.enable_sleep": True,
        "vllm.num_engines": gpus,
        "vllm.gpu_memory_utilization": 0.5,
        "actor.num_gpus_per_node": gpus,
        "ref.num_gpus_per_node": gpus,
        "ckpt.output_dir": f"{HERE}/model",
        "ckpt.path": f"{HERE}/checkpoints",
        "ckpt.save_steps": spec.save_every or -1,
        "ckpt.save_hf": True,
    }
    if grpo.kl:
        said["algo.kl.use_loss"] = True
    if grpo.entropy_bonus:
        said["actor.entropy_coef"] = grpo.entropy_bonus
    return said | _evaluation(job)


def _check(job: Job) -> None:
    spec, grpo = job.spec, job.spec.grpo
    if (grpo.advantage, grpo.whiten) not in _ADVANTAGES:
        field = "grpo.whiten" if (grpo.advantage, False) in _ADVANTAGES else "grpo.advantage"
        raise refuse(NAME, field, f"has no advantage {grpo.advantage!r}{' whitened' * grpo.whiten}")
    if grpo.length_norm not in _AGGREGATION:
        raise refuse(NAME, "grpo.length_norm", f"has no {grpo.length_norm!r}, only {', '.join(_AGGREGATION)}")
    if grpo.old_logprobs != "recomputed":
        raise refuse(NAME, "grpo.old_logprobs", "always recomputes them: say 'recomputed'")
    if grpo.keep_groups_together:
        raise refuse(NAME, "grpo.keep_groups_together", "shuffles completions over the updates")
    if spec.dtype != "bfloat16":
        raise refuse(NAME, "dtype", "trains in bfloat16 or float16: say 'bfloat16'")
    if grpo.prompts_per_rollout * grpo.group_size % grpo.updates_per_rollout:
        raise refuse(NAME, "grpo.updates_per_rollout", "needs updates of equal size")


def _evaluation(job: Job) -> dict[str, Any]:
    if not job.benches:
        return {}
    bench, spec = job.benches[0][0], job.spec
    if bench.top_p != spec.sampling.top_p:
        raise refuse(NAME, "benches[0].top_p", f"evaluates with that of training ({spec.sampling.top_p})")
    return {
        "eval.dataset": ",".join(f"{HERE}/data/{bench.slug}.jsonl" for bench, _ in job.benches),
        "eval.temperature": bench.sampling.temperature,
        "eval.n_samples_per_prompt": bench.k,
        "eval.steps": spec.eval_every or spec.steps,
    }


def notes(job: Job) -> list[str]:
    """What OpenRLHF does otherwise than our engine, in words."""
    said = [
        "log ratio clamped to -20 and 20: cannot be switched off",
        f"bounds that ours does not have are {OFF:g} (reward clipping always, others where it is null here)",
        "the order of the problems is OpenRLHF's, drawn from train.seed; every problem comes as often as in our run",
        "sampling, batching and arithmetic are OpenRLHF's: the texts differ from ours under the same seed",
        "draws of the reward are fresh at every call and marked in the rollouts; they are not those of our engine",
        "rollouts carry no step: OpenRLHF tells the reward none",
        "what a reward raises is only logged, and training goes on without that reward",
    ]
    if job.spec.measure_kl and not job.spec.grpo.kl:
        said.append("the divergence from the initial policy is not measured")
    return said


def _or_off(bound: float | None) -> float:
    return OFF if bound is None else bound


def _schedule(schedule: str, warmup: int) -> str:
    return "linear" if schedule == "linear" else "constant_with_warmup" if warmup else "constant"


def _words(value: Any) -> list[str]:
    if value is True:
        return []
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _write_rows(path: Path, rows: Sequence[Asked], source: str) -> None:
    """One JSON document a line: the prompt, and in its label all that our reward reads."""
    lines = [json.dumps({"prompt": one.text, "label": json.dumps(one.told.row), "datasource": source}) for one in rows]
    write_text(path, "\n".join(lines) + "\n")
