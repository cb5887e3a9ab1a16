"""A study's summary as tables in Markdown, for pages that people read."""

from collections.abc import Mapping, Sequence
from typing import Any

from spurious.report.marked import table
from spurious.scores import CODE
from spurious.store.tables import BEHAVIOR

Summary = Mapping[str, Any]

_BENCH_COLUMNS = {
    "accuracy": "accuracy",
    CODE: "code",
    f"{BEHAVIOR}boxed": "boxed",
    "accuracy with code": "right with code",
    "accuracy without code": "right without",
    "majority right": "majority right",
    "vote share": "vote share",
    "no answer": "no answer",
}
"""Metrics of a bench and what their columns are called."""


def facts(summary: Summary) -> str:
    """One line: how many runs and seeds, the outcome, and when the expectation was declared."""
    done = {run["run"] for run in summary["runs"] if run["state"] == "done"}
    seeds = summary["seeds_found"]
    lost = f" {len(summary['missing'])} missing, see the summary." if summary["missing"] else ""
    return (
        f"Distinct runs: {len(done)}; seeds: {len(seeds)} ({_range(seeds)}); outcome: {summary['primary']}. "
        f"{_declared(summary['declared'])}{lost}"
    )


def comparisons(summary: Summary, only: tuple[str, str] | None = None) -> str:
    """The declared comparisons, or one of them, as a table."""
    chosen = [one for one in summary["comparisons"] if only in (None, (one["arm"], one["against"]))]
    heads = ("model", "arm", "against", "base", "arm reached", "against reached", "effect", "95 % interval", "median")
    rows = []
    for one in chosen:
        scale = _scale(one)
        signs = one["signs"]
        rows.append(
            (
                one["model"],
                one["arm"],
                one["against"],
                _number(one["base"], scale),
                _number(one["levels"][one["arm"]], scale),
                _number(one["levels"][one["against"]], scale),
                _signed(one["effect"], scale),
                _interval(one["interval"], scale),
                _signed(one["median"], scale),
                f"{signs['up']} / {signs['down']}",
                f"{one['p_holm']:.2g}",
                one["verdict"].replace("-", "−"),
            )
        )
    return table((*heads, "seeds up / down", "p (Holm)", "verdict"), rows)


def benches(summary: Summary) -> str:
    """Untrained models bench by bench, accuracy with its interval and its difference to the bench that is varied."""
    found: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for one in summary["benches"]:
        found.setdefault((one["model"], one["bench"]), {})[one["metric"]] = one
    shown = [name for name in _BENCH_COLUMNS if any(name in metrics for metrics in found.values())]
    rows = []
    for (model, bench), metrics in found.items():
        accuracy = metrics["accuracy"]
        change = "–"
        if accuracy["difference"] is not None:
            interval = (accuracy["difference_low_95"], accuracy["difference_high_95"])
            change = f"{_signed(accuracy['difference'], 100)} ({_interval(interval, 100)}) to {accuracy['against']}"
        rows.append((model, bench, *(_share(metrics.get(name)) for name in shown), change))
    return table(("model", "bench", *(_BENCH_COLUMNS[name] for name in shown), "difference in accuracy"), rows)


def _share(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "–"
    low, high = one["low_95"], one["high_95"]
    reach = "" if low is None else f" ({_number(low, 100)} to {_number(high, 100)})"
    return _number(one["mean"], 100) + reach


def _scale(one: Mapping[str, Any]) -> float:
    return 100 if one["unit"] == "points" else 1


def _number(value: float | None, scale: float) -> str:
    return "–" if value is None else f"{scale * value:.1f}"


def _signed(value: float, scale: float) -> str:
    return f"{scale * value:+.1f}".replace("-", "−")


def _interval(interval: Sequence[float] | None, scale: float) -> str:
    return "–" if interval is None else f"{_signed(interval[0], scale)} to {_signed(interval[1], scale)}"


def _range(seeds: Sequence[int]) -> str:
    whole = list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))) if seeds else False
    return f"{seeds[0]} to {seeds[-1]}" if whole and len(seeds) > 1 else ", ".join(map(str, seeds))


def _declared(declared: Mapping[str, Any]) -> str:
    """When the expectation was said, by the file's commits or else by the record, and whether it was changed."""
    versions = declared["committed"] or declared["recorded"]
    now = next((one for one in versions if one["same"]), None)
    if now is None:
        return "When it was declared is not on record."
    changed = "" if all(one["same"] for one in versions) else " An earlier version said otherwise; see the summary."
    if "commit" not in now:
        return f"Declared with {now['done']} of its runs done.{changed}"
    started = f"after {now['runs_started']} runs had been started" if now["runs_started"] else "before any run"
    return f"Declared in commit {now['commit'][:7]}, {started}.{changed}"
