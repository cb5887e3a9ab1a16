"""What to know about a reward besides its verdict: each check says what it found, also when it found nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from spurious.analysis.elicitation import best_prompt
from spurious.analysis.outcomes import Differences
from spurious.analysis.statistics import effect, holm

FAILURES = ("unparsable", "limit", "timeout", "failed")
"""Grades of a verifier that could not decide."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One check."""

    name: str
    raised: bool | None
    """None: it could not be made; `text` says why."""
    text: str
    numbers: Mapping[str, float]


def constant_groups(rollouts: pl.DataFrame) -> Flag:
    """Whether the reward pays most groups one value, which teaches nothing.

    Args:
        rollouts: training rows of the audited arm, with `run`, `step`, `problem_id`, `copy` and `reward`.
    """
    groups = rollouts.group_by("run", "step", "problem_id", "copy").agg(pl.col("reward").n_unique() == 1)
    share = float(groups["reward"].cast(pl.Float64).mean())  # type: ignore[arg-type]
    text = f"{100 * share:.0f} % of {groups.height} groups were paid one value, and taught nothing."
    return Flag("constant on most groups", share > 0.5, text, {"share": share, "groups": float(groups.height)})


def verifier_failures(audited: pl.DataFrame, placebo: pl.DataFrame) -> Flag:
    """Whether the verifier fails more often in one arm than in the other: t tests over seeds, Holm over models, 5 %.

    Args:
        audited: training rows of the audited arm, with `model`, `seed` and `grade`.
        placebo: the same of its shuffled placebo, on the same models and seeds.
    """
    ours, theirs = _failure_rates(audited), _failure_rates(placebo)
    rates = {"audited": float(np.mean(list(ours.values()))), "placebo": float(np.mean(list(theirs.values())))}
    text = f"{_percent(rates['audited'])} of the grades failed when audited, {_percent(rates['placebo'])} shuffled."
    ps = {}
    for model in sorted({model for model, _ in ours}):
        seeds = sorted(seed for name, seed in ours if name == model)
        values = np.array([[ours[model, seed] - theirs[model, seed]] for seed in seeds])
        if values.any() and len(seeds) > 1:
            ps[model] = effect(Differences(tuple(seeds), ("all",), values)).p
    adjusted = dict(zip(ps, holm(list(ps.values())), strict=True))
    differ = [model for model, p in adjusted.items() if p <= 0.05]
    if differ:
        text += f" The rates differ on {', '.join(differ)}: what looks like learning may be grading."
    return Flag("verifier failures differ", bool(differ), text, rates)


def not_elicited(prompted: Mapping[str, pl.DataFrame], trained: Mapping[str, pl.DataFrame]) -> Flag:
    """Whether another prompt, without any training, does as well as the training did.

    The best prompt is chosen on every other problem and compared on the rest, so that choosing does not flatter it.

    Args:
        prompted: by model, rows of the untrained model with `prompt_name`, `problem_id` and `correct`.
        trained: by model, rows of the audited arm after training with `problem_id` and `correct`.
    """
    texts: list[str] = []
    numbers: dict[str, float] = {}
    raised = False
    for model, rows in prompted.items():
        best = best_prompt(rows, pl.col("correct"))
        prompt = _mean(best.held_out["correct"])
        after = _mean(trained[model].join(best.held_out, on="problem_id", how="semi")["correct"])
        numbers |= {f"{model}/prompt": prompt, f"{model}/trained": after}
        raised |= prompt >= after
        texts.append(f"{model}: {100 * prompt:.1f} % untrained with {best.name}, {100 * after:.1f} % trained")
    return Flag("base not elicited", raised, "; ".join(texts) + ".", numbers)


def _failure_rates(rows: pl.DataFrame) -> dict[tuple[str, int], float]:
    rates = rows.group_by("model", "seed").agg(pl.col("grade").is_in(FAILURES).mean().alias("rate"))
    return {(str(model), int(seed)): float(rate) for model, seed, rate in rates.iter_rows()}


def _mean(values: pl.Series) -> float:
    return float(values.cast(pl.Float64).mean())  # type: ignore[arg-type]


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
