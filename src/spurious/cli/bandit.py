"""`spurious bandit`: what clipping does to two arms under a reward that knows nothing."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from spurious.cli.words import columns, percent
from spurious.terminal import say

if TYPE_CHECKING:
    from spurious.analysis.bandit import Settings, Simulation
    from spurious.analysis.bandit_exact import Distribution

Estimators = tuple[Literal["reinforce", "rloo", "grpo", "grpo_group"], ...]

BLOCKS = " ▁▂▃▄▅▆▇█"

WORKED = ((0.85, 0.2), (0.02, 0.2))
"""The paper's worked example: old probability and clip."""


def bandit(
    *,
    p0: float = 0.7,
    gamma: float = 0.5,
    steps: int = 500,
    samples: int = 16,
    updates: int = 20,
    split: Annotated[bool, Parameter(negative="")] = False,
    lr: float = 0.25,
    clip_low: float | None = 0.2,
    clip_high: float | None = 0.2,
    small_clip: float = 0.05,
    estimator: Annotated[Estimators, Parameter(consume_multiple=True, negative="")] = ("reinforce", "grpo"),
    seeds: int = 5000,
    first_seed: int = 0,
    out: Path | None = None,
    format: Literal["csv", "svg", "png", "pdf"] = "csv",
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Train a two-arm policy on a coin, many times, with and without clipping, and say where it ends.

    Args:
        p0: Probability of arm 1 before training.
        gamma: Probability that a pull pays 1, whatever the arm.
        steps: Steps of training, each on fresh pulls.
        samples: Pulls in a step.
        updates: Updates on the pulls of one step (grpo; reinforce and rloo take one).
        split: Deal the pulls of a step out to its updates; else every update sees all of them.
        lr: Learning rate of plain gradient ascent.
        clip_low: The ratio's lower bound is 1 - this; 'none' for no bound.
        clip_high: The ratio's upper bound is 1 + this; 'none' for no bound.
        small_clip: A second, smaller value for the bounds, as an arm of its own.
        estimator: Which arms to run: reinforce, rloo, grpo (advantages from the reward's true mean and deviation) and
            grpo_group (from those of the step's own pulls).
        seeds: Policies of each arm.
        first_seed: The first seed; the others follow it.
        out: Write the histogram and the paths into this directory, as CSV.
        format: Draw them too, as svg, png or pdf (needs the extra 'figures').
        json_: Print one JSON document with every number, and nothing else.
    """
    from spurious.analysis.bandit import Settings, simulate
    from spurious.analysis.bandit_arms import arms
    from spurious.errors import InputError
    from spurious.progress import on_terminal

    if seeds < 1:
        raise InputError(f"seeds: {seeds} is below 1")
    if first_seed < 0:
        raise InputError(f"first_seed: {first_seed} is below 0")
    if format != "csv" and out is None:
        raise InputError(f"format: {format} needs --out, a directory to write to")
    base = Settings(
        p0=p0,
        gamma=gamma,
        steps=steps,
        samples=samples,
        updates=updates,
        split=split,
        lr=lr,
        clip_low=clip_low,
        clip_high=clip_high,
    )
    chosen = arms(base, estimator, small_clip)
    each = range(first_seed, first_seed + seeds)
    simulations: dict[str, Simulation] = {}
    with on_terminal() as progress:
        for name, settings in chosen.items():
            simulations[name] = simulate(settings, each)
            progress("arms", len(simulations), len(chosen), name)
    enumerated = _enumerated(chosen)
    if out is not None:
        _write(simulations, out, format)
    if json_:
        say(json.dumps(_document(base, each, simulations, enumerated), indent=2, allow_nan=False))
    else:
        say(_page(base, each, simulations, enumerated))


def _enumerated(chosen: "dict[str, Settings]") -> "tuple[int, dict[str, Distribution]]":
    """After how many steps every arm can be enumerated, and what it then is; 0 and nothing where none can."""
    from spurious.analysis.bandit_exact import affordable, exact

    steps = min(min(affordable(settings), settings.steps) for settings in chosen.values())
    return steps, {name: exact(settings, steps) for name, settings in chosen.items()} if steps else {}


def _write(simulations: "dict[str, Simulation]", out: Path, format: Literal["csv", "svg", "png", "pdf"]) -> None:
    from spurious.report import export
    from spurious.report.bandit import bandit_figures
    from spurious.report.figure import csv
    from spurious.store.files import write_text

    figures = bandit_figures(simulations)
    if format == "csv":
        for figure in figures:
            write_text(out / f"{figure.slug}.csv", csv(figure.table))
    else:
        export(figures, out, format)


def _document(
    base: "Settings",
    seeds: range,
    simulations: "dict[str, Simulation]",
    enumerated: "tuple[int, dict[str, Distribution]]",
) -> dict[str, Any]:
    from spurious.analysis.bandit_arms import claims, paired, summarize
    from spurious.analysis.bandit_exact import band

    steps, exactly = enumerated
    return {
        "settings": asdict(base),
        "seeds": {"first": seeds.start, "count": len(seeds)},
        "arms": {
            name: {
                "settings": asdict(one.settings),
                **asdict(summarize(one)),
                "clipped_low": one.clipped_low,
                "clipped_high": one.clipped_high,
                "paths": {"step": one.marks, "mean": one.mean.tolist(), "median": one.median.tolist()},
            }
            for name, one in simulations.items()
        },
        "paired": [asdict(one) for one in paired(simulations)],
        "claims": [asdict(one) for one in claims(simulations)],
        "exact": {
            "steps": steps,
            "arms": {name: {"mean": one.mean, "median": one.median} for name, one in exactly.items()},
        },
        "bands": [{"eps": eps, **asdict(found), "sign": found.sign} for p, eps in WORKED for found in [band(p, eps)]],
    }


def _page(
    base: "Settings",
    seeds: range,
    simulations: "dict[str, Simulation]",
    enumerated: "tuple[int, dict[str, Distribution]]",
) -> str:
    deal = "dealt out to the updates" if base.split else "all of them in every update"
    head = (
        f"Two arms, p0 = {base.p0:g}, a reward that pays 1 with probability {base.gamma:g} whatever the arm. "
        f"{base.steps} steps, {base.samples} pulls a step ({deal}), {len(seeds)} seeds from {seeds.start}."
    )
    parts = [head, _arms(simulations), _paired(simulations), _claims(simulations), _exactly(base, enumerated), _bands()]
    return "\n\n".join(part for part in parts if part)


def _arms(simulations: "dict[str, Simulation]") -> str:
    from spurious.analysis.bandit_arms import summarize

    lines = []
    for name, one in simulations.items():
        end = summarize(one)
        lines.append(
            {
                "final p of arm 1": name,
                "lr": f"{one.settings.lr:g}",
                "updates": str(one.settings.passes),
                "mean": f"{end.mean:.3f}" + ("" if end.se is None else f" ±{end.se:.3f}"),
                "median": f"{end.median:.3f}",
                "above p0, %": percent(end.above),
                "5 %": f"{end.low:.3f}",
                "95 %": f"{end.high:.3f}",
                "clipped low, %": f"{100 * one.clipped_low:.2f}",
                "high, %": f"{100 * one.clipped_high:.2f}",
                "seeds by p, 0 to 1": f"|{_blocks(end.counts)}|",
            }
        )
    return (
        columns(lines) + "\n±: standard error over seeds. clipped: pulls in updates whose gradient a bound took away."
    )


def _blocks(counts: tuple[int, ...]) -> str:
    """A histogram in one line; a bin that is not empty shows, however small it is."""
    top = max(counts)
    return "".join(BLOCKS[-(-n * (len(BLOCKS) - 1) // top)] for n in counts)


def _paired(simulations: "dict[str, Simulation]") -> str:
    from spurious.analysis.bandit_arms import paired

    return columns(
        {
            "mean with bounds minus without, seed by seed": one.arm,
            "difference": f"{one.difference:+.3f}" + ("" if one.se is None else f" ±{one.se:.3f}"),
        }
        for one in paired(simulations)
    )


def _claims(simulations: "dict[str, Simulation]") -> str:
    from spurious.analysis.bandit_arms import claims

    return columns(
        {
            "Oertell et al. 2025, at these settings": one.text,
            "found": one.found,
            "counts as so": one.rule,
            "so": "yes" if one.holds else "no",
        }
        for one in claims(simulations)
    )


def _exactly(base: "Settings", enumerated: "tuple[int, dict[str, Distribution]]") -> str:
    steps, found = enumerated
    if not found:
        return "One step has too many outcomes to enumerate; fewer --samples would do."
    return columns(
        {
            f"exactly, after {steps} step{'s' if steps > 1 else ''}": name,
            "mean": f"{one.mean:.6f}",
            "minus p0": f"{one.mean - base.p0:+.6f}",
            "median": f"{one.median:.6f}",
        }
        for name, one in found.items()
    )


def _bands() -> str:
    from spurious.analysis.bandit_exact import band

    return columns(
        {
            "the paper's worked example": f"pi_old = {p:g}, eps = {eps:g}",
            "band": f"{found.low:g} to {found.high:g}",
            "upper end": "within reach" if found.reachable else "never reached",
            "bias of its own term": found.sign,
            "of two arms": f"+ below {found.up_below:g}, - above {found.down_above:g}",
        }
        for p, eps in WORKED
        for found in [band(p, eps)]
    )
