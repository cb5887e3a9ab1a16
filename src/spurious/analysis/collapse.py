"""Signs that a run has broken down, each with the step at which it first showed."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from spurious.analysis.onset import centered
from spurious.analysis.statistics import Floats

Sign = Literal["no entropy", "no signal", "cut off", "loops", "accuracy fell", "spike"]
SIGNS: tuple[Sign, ...] = get_args(Sign)

SERIES: Mapping[str, str] = {
    "entropy": "entropy/mean",
    "signal": "groups/signal",
    "truncated": "tokens/truncated",
    "loops": "behavior/repetition",
    "accuracy": "truth/accuracy",
    "gradient": "optim/grad_norm",
}
"""What is looked at, and the column of the metrics that has it."""

IN_A_ROW = 3
"""Steps in a row that have to show a sign: one odd batch is none."""

LEAST_ENTROPY = 0.02
"""Nats a token: the policy says nearly always the same."""

LOST_ENTROPY = 0.25
"""The share of its first entropy that is left at most: a model may be as sure as that before any training."""

MOST_BROKEN = 0.5
"""Share of completions that are cut off by the length limit, or stuck in a loop."""

LARGEST_FALL = 0.15
"""Accuracy below its own smoothed maximum."""

NOISE_ERRORS = 4.0
"""A fall of at most so many standard errors of the noise is none: more than for an onset, for it is looked for at every
step (a run of 200 steps without a trend then shows one in about a hundred)."""

SPIKE = 10.0
"""Times the usual norm of the gradient. The loss itself says little: over the updates of a batch its mean is near 0."""

USUAL = (5, 20)
"""The median of the steps before that had a gradient: of so many at least, and of at most the last so many."""


def collapse(steps: Sequence[int], series: Mapping[str, Floats]) -> dict[Sign, float | None]:
    """The first step of every sign in one run; None where it did not show. Signs without their series are left out.

    `no signal` (every group is paid one value) counts only after a step that had some: a constant reward never has any.
    A model that answers everything right has no entropy and no signal either; read them with the accuracy.
    """
    found: dict[Sign, float | None] = {}
    if "entropy" in series:
        left = series["entropy"]
        found["no entropy"] = _first(steps, (left <= LEAST_ENTROPY) & (left <= LOST_ENTROPY * left[:1]))
    if "signal" in series:
        had = np.maximum.accumulate(series["signal"] > 0)
        found["no signal"] = _first(steps, (series["signal"] == 0) & had)
    if "truncated" in series:
        found["cut off"] = _first(steps, series["truncated"] >= MOST_BROKEN)
    if "loops" in series:
        found["loops"] = _first(steps, series["loops"] >= MOST_BROKEN)
    if "accuracy" in series:
        found["accuracy fell"] = _fall(steps, series["accuracy"])
    if "gradient" in series:
        found["spike"] = _spike(steps, series["gradient"])
    return found


def _first(steps: Sequence[int], shown: np.ndarray) -> float | None:
    """The step at which a row of `IN_A_ROW` begins."""
    if len(shown) < IN_A_ROW:
        return None
    begins = np.flatnonzero(np.convolve(shown, np.ones(IN_A_ROW), mode="valid") > IN_A_ROW - 0.5)
    return float(steps[int(begins[0])]) if begins.size else None


def _fall(steps: Sequence[int], accuracy: Floats) -> float | None:
    """The first step at which the smoothed accuracy is that far below what it had been before."""
    if len(accuracy) < 2 * IN_A_ROW:
        return None
    smooth = centered(accuracy)
    noise = float(np.sqrt(np.mean(np.diff(accuracy) ** 2) / 2) * np.sqrt(2 / IN_A_ROW))
    below = np.maximum.accumulate(smooth) - smooth > max(LARGEST_FALL, NOISE_ERRORS * noise)
    fallen = np.flatnonzero(below)
    return float(steps[int(fallen[0])]) if fallen.size else None


def _spike(steps: Sequence[int], norms: Floats) -> float | None:
    """The first step whose gradient is far larger than those before; one is enough, for it has moved the weights."""
    fewest, most = USUAL
    before: list[float] = []
    for step, norm in zip(steps, norms.tolist(), strict=True):
        if len(before) >= fewest and norm > SPIKE * float(np.median(before[-most:])):
            return float(step)
        if norm > 0:
            before.append(norm)
    return None
