"""Strategy switches as the paper's figure 7 draws them, with the partial contribution of every subset beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from spurious.analysis.strategies import Subset, SubsetName, Switches, pooled, switches
from spurious.report.figure import Figure, layout, percent, plain, slug
from spurious.report.habit import Habit
from spurious.report.material import Material
from spurious.report.palette import Style

WORDS: dict[SubsetName, str] = {
    "CC": "kept {}",
    "CL": "gave {} up",
    "LC": "took {} up",
    "LL": "never used {}",
}


@dataclass(frozen=True, slots=True)
class Switched:
    """The switches of one arm on one model."""

    model: str
    arm: str
    steps: tuple[int, int]
    whole: Switches
    """All seeds pooled."""
    seeds: Mapping[int, Switches]
    habit: Habit

    def accuracy(self, after: bool) -> float:
        """Of all answers, before or after."""
        return sum(s.after if after else s.before for s in self.whole.subsets) / self.whole.size

    def spread(self, name: SubsetName) -> tuple[float, float] | None:
        """The lowest and highest contribution over the seeds that have one; None with fewer than two."""
        shares = [share for one in self.seeds.values() if (share := one.contributions()[name]) is not None]
        return (min(shares), max(shares)) if len(shares) > 1 else None


def strategy_switches(material: Material) -> Iterator[Switched]:
    """Step 0 against the last evaluation on the primary benchmark, per model and arm, for runs that have both."""
    outcome = material.declared.outcome
    habit = material.declared.habit
    if outcome is None or habit.column not in material.evals.columns:
        return
    where = ("bench", "model", "arm", "seed", "step", "problem_id", "copy", "sample", "grade")
    named = material.evals.select(*where, habit.column)
    rows = named.filter((pl.col("bench") == outcome.bench) & pl.col(habit.column).is_not_null())
    for model in material.models:
        for arm in material.arms:
            mine = rows.filter((pl.col("model") == model) & (pl.col("arm") == arm))
            seeds = {}
            last = 0
            for (seed,), run in mine.group_by("seed", maintain_order=True):
                last = int(run["step"].max())  # type: ignore[arg-type]
                start, end = (run.filter(pl.col("step") == step) for step in (0, last))
                if last and start.height:
                    seeds[int(str(seed))] = switches(
                        start, end, strategy=habit.column, where=f"{arm} on {model}, seed {seed}"
                    )
            if seeds:
                yield Switched(model, arm, (0, last), pooled(seeds.values()), dict(sorted(seeds.items())), habit)


def sankey(switched: Switched, style: Style) -> Figure:
    """Two strategies before, two after, and the four subsets as flows between them."""
    whole = switched.whole
    before = {"C": whole["CC"].size + whole["CL"].size, "L": whole["LC"].size + whole["LL"].size}
    after = {"C": whole["CC"].size + whole["LC"].size, "L": whole["CL"].size + whole["LL"].size}
    nodes = [
        (side, letter) for side, count in (("before", before), ("after", after)) for letter in "CL" if count[letter]
    ]
    places = {node: i for i, node in enumerate(nodes)}
    counted = {"before": before, "after": after}
    inks = {"CC": style.faint(0.3), "LC": style.faint(0.6), "CL": "@zero/0.5", "LL": "@zero/0.2"}
    drawn = [subset.name for subset in whole.subsets if subset.size]
    return Figure(
        slug=slug("switches", switched.arm, switched.model),
        title=switched.arm,
        full_title=f"Strategy switches, {switched.arm} on {switched.model}",
        caption=(
            f"Step {switched.steps[0]} to step {switched.steps[1]}. "
            f"Accuracy {percent(switched.accuracy(False))} → {percent(switched.accuracy(True))}, "
            f"{len(switched.seeds)} {'seed' if len(switched.seeds) == 1 else 'seeds'}, {whole.size} answers."
        ),
        description=_in_words(switched),
        data=(
            {
                "type": "sankey",
                "arrangement": "fixed",
                "node": {
                    "label": [_node_words(counted[side][letter], switched, letter) for side, letter in nodes],
                    "x": [0.001 if side == "before" else 0.999 for side, _ in nodes],
                    "y": [_height(counted[side], whole.size, letter) for side, letter in nodes],
                    "color": [style.ink if letter == "C" else "@zero" for _, letter in nodes],
                    "pad": 18,
                    "thickness": 12,
                    "line": {"width": 0},
                    "hovertemplate": "%{label}: %{value} answers<extra></extra>",
                },
                "link": {
                    "source": [places["before", name[0]] for name in drawn],
                    "target": [places["after", name[1]] for name in drawn],
                    "value": [whole[name].size for name in drawn],
                    "color": [inks[name] for name in drawn],
                    "customdata": [_link_words(switched, name) for name in drawn],
                    "hovertemplate": "%{customdata}<extra></extra>",
                },
                "textfont": {"color": "@ink", "size": 12.5, "shadow": "none"},
                "meta": {"arm": switched.arm},
            },
        ),
        layout=_sankey_layout(),
        table=_table(switched),
        height=230,
    )


def contribution_rows(switched: Switched) -> list[dict[str, str]]:
    """The partial contributions of one arm and model as texts, for people."""
    shares = switched.whole.contributions()
    rows = []
    for subset in switched.whole.subsets:
        share, spread = shares[subset.name], switched.spread(subset.name)
        rows.append(
            {
                "subset": subset.name,
                "words": _words(switched, subset.name),
                "size": str(subset.size),
                "right": _right(subset),
                "net": f"{subset.net:+d}".replace("-", "−") if subset.net else "0",
                "share": "undefined" if share is None else f"{100 * share:.1f} %".replace("-", "−"),
                "spread": f"{100 * spread[0]:.0f} to {100 * spread[1]:.0f}".replace("-", "−") if spread else "",
            }
        )
    return rows


def _words(switched: Switched, name: SubsetName) -> str:
    return WORDS[name].format(switched.habit.shown)


def _right(subset: Subset) -> str:
    if not subset.size:
        return "–"
    return f"{100 * subset.before / subset.size:.1f} → {percent(subset.after / subset.size)}"


def note(switched: Switched) -> str:
    """What to know about the signs of one table; empty where they are as expected."""
    if switched.whole.net == 0:
        return "On balance nothing changed, so no subset has a share in it."
    if switched.whole.net < 0:
        return "Accuracy fell: a positive share is a share of the loss."
    return ""


def _sankey_layout() -> dict[str, Any]:
    whole = layout(x={}, y={}, margin={"l": 6, "r": 6, "t": 8, "b": 14})
    del whole["xaxis"], whole["yaxis"]
    return whole


def _node_words(count: int, switched: Switched, letter: str) -> str:
    word = switched.habit.shown if letter == "C" else switched.habit.absent
    return f"{word} {percent(count / switched.whole.size, 0)}"


def _height(counts: Mapping[str, int], size: int, letter: str) -> float:
    """Where the center of a node lies, as the share of the height; code is on top."""
    top = counts["C"] / size
    return round(top / 2 if letter == "C" else (1 + top) / 2, 3)


def _link_words(switched: Switched, name: SubsetName) -> str:
    subset = switched.whole[name]
    return (
        f"{plain(switched.arm)}, {name} ({_words(switched, name)}): {subset.size} answers<br>"
        f"right {percent(subset.before / subset.size)} → {percent(subset.after / subset.size)}"
    )


def _in_words(switched: Switched) -> str:
    parts = [
        f"{row['subset']} ({row['words']}): {row['size']} answers, right before and after: {row['right']}, "
        f"net {row['net']}, contribution {row['share']}"
        for row in contribution_rows(switched)
    ]
    return f"Strategy switches of {switched.arm} on {switched.model}: {'; '.join(parts)}. {note(switched)}".strip()


def _table(switched: Switched) -> pl.DataFrame:
    parts: Sequence[tuple[str, Switches]] = [("all", switched.whole)]
    parts = [*parts, *((str(seed), one) for seed, one in switched.seeds.items())]
    return pl.DataFrame(
        [
            {
                "model": switched.model,
                "arm": switched.arm,
                "seed": seed,
                "subset": subset.name,
                "answers": subset.size,
                "right_before": subset.before,
                "right_after": subset.after,
                "net": subset.net,
                "contribution": one.contributions()[subset.name],
            }
            for seed, one in parts
            for subset in one.subsets
        ],
        infer_schema_length=None,
    )
