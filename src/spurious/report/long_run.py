"""What training did to benchmarks it was not judged by, to many samples of one problem, and whether runs broke down."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from spurious.analysis.by_run import KEYS, bench_changes, collapses, passes
from spurious.analysis.collapse import SIGNS
from spurious.analysis.seeds import summary
from spurious.report.bases import BASE
from spurious.report.figure import Figure, axis, layout, plain, slug
from spurious.report.material import Material
from spurious.report.palette import BASE as BASE_STYLE
from spurious.report.palette import Style
from spurious.report.seeds import SYMBOLS, Shown, Table, of_model, seed_figure, seed_table
from spurious.specs import BenchSpec

COLLAPSED = {
    "no entropy": "no entropy is left",
    "no signal": "no group has signal any more",
    "cut off": "half of the answers are cut off by the length limit",
    "loops": "half of the answers are stuck in a loop",
    "spike": "the gradient had more than ten times its usual norm at a step",
    "accuracy fell": "accuracy has fallen by more than 15 points from its own maximum",
}


def bench_figure(material: Material, model: str, styles: Mapping[str, Style]) -> Figure | None:
    """The change on every benchmark beside that on the primary one; None where there is only one."""
    benches = _benches(material)
    if len(benches) < 2:
        return None
    return seed_figure(
        "benches",
        "Change on every benchmark",
        bench_changes(_graded(material, model), {}),
        model,
        [Shown(f"{bench} change", bench, 100, 1, sign=True) for bench in benches[: len(SYMBOLS)]],
        styles,
        x="change, points",
        caption="The declared benchmark first; the others were not what the runs are judged by.",
        zero=True,
    )


def bench_table(material: Material, model: str) -> Table | None:
    """Every benchmark after training and its change, and how far training problems are ahead of test problems."""
    benches = _benches(material)
    if len(benches) < 2:
        return None
    gaps = train_benches(material)
    shown = [
        one
        for bench in benches
        for one in (
            Shown(f"{bench} after", bench, 100, 1, " %"),
            Shown(f"{bench} change", "change", 100, 1, sign=True),
        )
    ] + [
        Shown(f"{train} minus {test} {word}", f"{train} − {test}, {word}", 100, 1, sign=True)
        for train, test in gaps.items()
        for word in ("before", "after")
    ]
    return seed_table(
        "Benchmarks after training",
        bench_changes(_graded(material, model), gaps),
        model,
        shown,
        material.arms,
        note="Accuracy at the last evaluation and its change since step 0; mean over seeds with its 95 % t interval.",
    )


def pass_figures(material: Material, model: str, styles: Mapping[str, Style]) -> Iterator[Figure]:
    """Pass@k of every benchmark that was asked more than once: the base and every arm after training."""
    found = passes(_graded(material, model))
    before = pl.col("quantity").str.contains(" before pass@")
    base = found.filter(before).unique(["seed", "quantity", "value"], maintain_order=True)
    one = not base.select("seed", "quantity").is_duplicated().any()  # arms asked with their own prompts start apart
    shown = pl.concat([*([base.with_columns(arm=pl.lit(BASE))] if one else []), found.filter(~before)])
    parts = summary(shown).with_columns(
        pl.col("quantity").str.extract_groups(r"^(?<bench>.*) (?<when>before|after) pass@(?<k>\d+)$").struct.unnest()
    )
    for bench in _benches(material):
        mine = parts.filter(pl.col("bench") == bench).with_columns(pl.col("k").cast(pl.Int64)).sort("k")
        curves = {arm: mine.filter(pl.col("arm") == arm) for arm in (BASE, *styles)}
        there = {arm: curve for arm, curve in curves.items() if curve.height}
        if set(there) - {BASE}:
            yield _pass_figure(bench, model, there, styles)


def collapse_notes(material: Material) -> list[str]:
    """Runs that show a sign of having broken down, and at which step."""
    notes = []
    for row in summary(collapses(material.metrics)).iter_rows(named=True):
        if row["seeds"] and row["quantity"] in SIGNS:
            when = f"{'step' if row['seeds'] == 1 else 'on average step'} {row['mean']:.0f}"
            runs = f"{row['seeds']} of {row['of']} {'run' if row['of'] == 1 else 'runs'}"
            notes.append(f"{row['arm']} on {row['model']}: in {runs} {COLLAPSED[row['quantity']]} (first at {when}).")
    return notes


def train_benches(material: Material) -> dict[str, str]:
    """Benches of training problems -> the bench of test problems of the same task."""
    specs: dict[str, BenchSpec] = {}
    for manifest in material.manifests.values():
        for bench in manifest["spec"]["benches"]:
            spec = BenchSpec.model_validate(bench)
            specs.setdefault(spec.slug, spec)
    train = {name: spec for name, spec in specs.items() if spec.task.args.get("split") == "train"}
    pairs: dict[str, str] = {}
    for name, spec in train.items():
        others = {key: value for key, value in spec.task.args.items() if key not in ("split", "size", "seed")}
        for test, candidate in specs.items():
            theirs = {key: value for key, value in candidate.task.args.items() if key not in ("split", "size", "seed")}
            same = candidate.task.name == spec.task.name and candidate.k == spec.k and theirs == others
            if same and test not in train:
                pairs.setdefault(name, test)
    return pairs


def _graded(material: Material, model: str) -> pl.DataFrame:
    """What benchmarks are counted on, of one model."""
    if not material.evals.height:
        return material.evals
    return of_model(material.evals.select(*KEYS, "bench", "step", "problem_id", "sample", "grade"), model)


def _benches(material: Material) -> list[str]:
    """The declared benchmark first."""
    if not material.evals.height:
        return []
    outcome = material.declared.outcome
    found = material.evals["bench"].unique().sort().to_list()
    return sorted(found, key=lambda bench: outcome is None or bench != outcome.bench)


def _pass_figure(bench: str, model: str, curves: Mapping[str, pl.DataFrame], styles: Mapping[str, Style]) -> Figure:
    title = f"Pass@k on {bench}"
    words = (
        f"{arm}: " + ", ".join(f"pass@{k} {100 * mean:.1f} %" for k, mean in curve.select("k", "mean").iter_rows())
        for arm, curve in curves.items()
    )
    return Figure(
        slug=slug("pass", bench, model),
        title=title,
        full_title=f"{title}, {model}",
        caption="Chance that one of k samples is right (unbiased), mean over problems and seeds; bars: 95 % t interval "
        "over seeds. Base: before training.",
        description=f"{title} on {model}: {'; '.join(words)}.",
        data=tuple(_pass_curve(arm, curve, {BASE: BASE_STYLE, **styles}[arm]) for arm, curve in curves.items()),
        layout=layout(
            x=axis("k", type="log", tickvals=curves[next(iter(curves))]["k"].to_list()), y=axis("%"), hovermode="x"
        ),
        table=pl.concat(curves.values()).select("arm", "when", "k", "mean", "low_95", "high_95", "seeds"),
    )


def _pass_curve(arm: str, curve: pl.DataFrame, style: Style) -> dict[str, Any]:
    ends = curve.select("high_95", "mean").iter_rows()
    halves = [None if high is None else 100 * (high - mean) for high, mean in ends]
    bars = {"type": "data", "array": halves, "thickness": 1.2, "width": 3, "color": style.ink}
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": curve["k"].to_list(),
        "y": [round(100 * value, 2) for value in curve["mean"]],
        "error_y": bars if any(half is not None for half in halves) else {"visible": False},
        "line": {"color": style.ink, "width": 2, "dash": style.dash},
        "marker": {"symbol": "circle" if arm == BASE else style.marker, "size": 7, "color": style.ink},
        "hovertemplate": f"{plain(arm)}: %{{y:.1f}} %<extra></extra>",
        "name": plain(arm),
        "meta": {"arm": arm},
    }
