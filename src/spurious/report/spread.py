"""What seeds say one by one: mean and median, how many went up, and how far they lie apart."""

from collections.abc import Iterator, Sequence

import numpy as np

from spurious.analysis.signs import deviation_interval, median_interval, signs
from spurious.analysis.statistics import t_estimate
from spurious.report.answer import Answer
from spurious.report.seeds import Table

HEADERS = ("comparison", "seeds", "mean", "median", "up / down / equal", "sign test p", "SD over seeds")


def spread_table(answer: Answer) -> Table | None:
    """Every declared comparison, and what every arm gained over its base; None where each has one seed only."""
    unit = answer.unit

    def number(value: float) -> str:
        return unit.difference(value)

    rows = []
    for name, values in _differences(answer):
        if len(values) < 2:
            continue
        mean, counted = t_estimate(values), signs(values)
        interval = unit.interval(mean.interval()) if mean.error > 0 else ""
        middle = median_interval(values)
        deviation = float(np.std(values, ddof=1))
        wide = deviation_interval(values)
        cells = (
            (str(len(values)), ""),
            (number(mean.mean), interval),
            (number(float(np.median(values))), unit.interval(middle) if middle else ""),
            (f"{counted.up} / {counted.down} / {counted.equal}", ""),
            (f"{counted.p:.2g}", ""),
            (
                f"{unit.scale * deviation:.1f}",
                f"{unit.scale * wide[0]:.1f} to {unit.scale * wide[1]:.1f}" if wide else "",
            ),
        )
        rows.append((name, cells))
    if not rows:
        return None
    return Table(
        "Seed by seed",
        HEADERS,
        tuple(rows),
        f"In {unit.change}, 95 % intervals: of the mean by t, of the median by order statistics (from six seeds on), "
        "of the SD by χ², which takes seeds as normal. p is uncorrected. A mean far from its median is the work of few "
        "seeds; an SD that is large beside the mean says that another seed may go the other way.",
    )


def _differences(answer: Answer) -> Iterator[tuple[str, Sequence[float]]]:
    for one in answer.effects:
        values = [value for _, value in one.comparison.by_seed]
        yield f"{one.treatment} − {one.placebo}, {one.model}", values
    found = {(level.model, level.arm): level for level in answer.levels}
    for (model, arm), level in found.items():
        base = found.get((model, answer.bases[arm])) if arm in answer.bases else None
        if base is not None and base.outcomes.problems == level.outcomes.problems:
            start = dict(base.by_seed)
            yield (
                f"{arm} − {answer.bases[arm]}, {model}",
                [value - start[seed] for seed, value in level.by_seed if seed in start],
            )
