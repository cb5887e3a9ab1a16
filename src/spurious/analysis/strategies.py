"""Who changed how an answer is reached, and what each of these groups gave to the change in accuracy.

The paper's section 4.2 and figure 7: every answer shows a strategy (code or language, by one detector) before and after
training, so the answers fall into four sets. CC kept code, CL gave it up, LC took it up, LL never used it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl

from spurious.analysis.outcomes import CORRECT
from spurious.errors import DataError
from spurious.scores import CODE

SubsetName = Literal["CC", "CL", "LC", "LL"]
"""Strategy before, then after: C shows the behavior, L does not."""


@dataclass(frozen=True, slots=True)
class Subset:
    """The answers with one pair of strategies."""

    name: SubsetName
    size: int
    before: int
    """How many of them were right before."""
    after: int
    """How many of them are right after."""

    @property
    def net(self) -> int:
        """Right answers gained; below 0 where they were lost."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Switches:
    """The four subsets, which are disjoint and hold every answer."""

    subsets: tuple[Subset, Subset, Subset, Subset]
    """CC, CL, LC, LL; a subset may be empty."""

    def __getitem__(self, name: SubsetName) -> Subset:
        """The subset of that name."""
        return self.subsets[get_args(SubsetName).index(name)]

    @property
    def size(self) -> int:
        """Answers in all."""
        return sum(subset.size for subset in self.subsets)

    @property
    def net(self) -> int:
        """Right answers gained over all of them."""
        return sum(subset.net for subset in self.subsets)

    def contributions(self) -> dict[SubsetName, float | None]:
        """C_d, the share of each subset in the net change; they add up to 1.

        A share may be below 0 (the subset moved against the whole) or above 1. Where accuracy fell, a positive share is
        a share of the loss. None where nothing changed on balance: there is nothing to have a share in.
        """
        return {subset.name: subset.net / self.net + 0.0 if self.net else None for subset in self.subsets}


def switches(
    before: pl.DataFrame, after: pl.DataFrame, *, strategy: str = CODE, where: str = "strategy switches"
) -> Switches:
    """Compare the answers of one run at two steps, sample by sample.

    Args:
        before: evaluation rows of one run, bench and step, as in `spurious.store.tables`.
        after: the same problems and samples at a later step.
        strategy: the behavior column; above 0 the answer shows it.
        where: how messages call these rows.

    Raises:
        DataError: a column is missing, a sample is there twice, or one table has a sample that the other lacks.
    """
    keys = [name for name in ("problem_id", "copy", "sample") if name in before.columns and name in after.columns]
    old, new = (
        _flags(rows, keys, strategy, f"{where}, {word}") for rows, word in ((before, "before"), (after, "after"))
    )
    joined = old.join(new, on=keys, how="full", coalesce=True, suffix="_after", nulls_equal=True)
    lost = joined.filter(pl.any_horizontal(pl.all().exclude(keys).is_null()))
    if lost.height:
        first = lost.sort(keys).row(0, named=True)
        lacking = "before" if first["right"] is None else "after"
        raise DataError(f"{where}: problem {first['problem_id']!r} is missing {lacking} ({lost.height} such rows)")
    return Switches(tuple(_subset(joined, name) for name in get_args(SubsetName)))  # type: ignore[arg-type]


def pooled(parts: Iterable[Switches]) -> Switches:
    """The answers of several runs as one set: sizes and right answers added, subset by subset."""
    columns = zip(*(part.subsets for part in parts), strict=True)
    summed = [
        Subset(same[0].name, *(sum(getattr(s, count) for s in same) for count in ("size", "before", "after")))
        for same in columns
    ]
    if not summed:
        raise ValueError("no switches to pool")
    return Switches(tuple(summed))  # type: ignore[arg-type]


def _flags(rows: pl.DataFrame, keys: Sequence[str], strategy: str, where: str) -> pl.DataFrame:
    missing = [name for name in ("problem_id", "grade", strategy) if name not in rows.columns]
    if missing:
        raise DataError(f"{where}: column {missing[0]!r} is missing; there are {', '.join(rows.columns)}")
    table = rows.select(*keys, CORRECT.alias("right"), (pl.col(strategy) > 0).alias("shown"))
    unknown = table.filter(pl.any_horizontal(pl.col("right", "shown").is_null()))
    if unknown.height:
        raise DataError(f"{where}: problem {unknown['problem_id'][0]!r} has no grade or no {strategy!r}")
    twice = table.filter(pl.struct(keys).is_duplicated())
    if twice.height:
        raise DataError(f"{where}: problem {twice['problem_id'][0]!r} has one sample twice")
    return table


def _subset(joined: pl.DataFrame, name: SubsetName) -> Subset:
    first, second = (letter == "C" for letter in name)
    rows = joined.filter((pl.col("shown") == first) & (pl.col("shown_after") == second))
    return Subset(name, rows.height, int(rows["right"].sum()), int(rows["right_after"].sum()))
