"""What became of every benchmark in a run: before and after training, against training problems, and at pass@k."""

from collections.abc import Iterator, Mapping

import polars as pl

from spurious.scores import pass_at_k


def changes(run: pl.DataFrame, train: Mapping[str, str]) -> Iterator[tuple[str, float | None]]:
    """Accuracy on each benchmark before training, after it, and the change, on the evaluations of one run.

    Args:
        run: completion rows with `bench`, `step` and `grade`.
        train: bench of training problems -> bench of test problems; their gap is `TRAIN minus TEST before` and `after`.

    Yields:
        `BENCH before`, `BENCH after`, `BENCH change`; null where there is no evaluation at step 0 or no later one.
    """
    right = (pl.col("grade") == "correct").mean()
    by_step = run.group_by("bench", "step", maintain_order=True).agg(right.alias("accuracy"))
    found: dict[tuple[str, str], float] = {}
    for (bench,), rows in by_step.group_by("bench", maintain_order=True):
        ordered = rows.sort("step")
        ends = {"before": ordered.filter(pl.col("step") == 0), "after": ordered.filter(pl.col("step") > 0).tail(1)}
        found |= {(str(bench), word): float(end["accuracy"][0]) for word, end in ends.items() if end.height}
    for bench in dict.fromkeys(bench for bench, _ in found):
        before, after = (found.get((bench, word)) for word in ("before", "after"))
        yield f"{bench} before", before
        yield f"{bench} after", after
        yield f"{bench} change", None if before is None or after is None else after - before
    for mine, test in train.items():
        for word in ("before", "after"):
            ours, theirs = found.get((mine, word)), found.get((test, word))
            if ours is not None and theirs is not None:
                yield f"{mine} minus {test} {word}", ours - theirs


def pass_curve(rows: pl.DataFrame) -> dict[int, float]:
    """Unbiased pass@k for k = 1, 2, 4, ... up to the samples of a problem: k -> mean over problems.

    Args:
        rows: completions of one run, benchmark and step; with unequal numbers of samples, up to the smallest.
    """
    counts = rows.group_by("problem_id").agg(pl.len().alias("n"), (pl.col("grade") == "correct").sum().alias("right"))
    alike = counts.group_by("n", "right").agg(pl.len().alias("problems")).sort("n", "right")
    most = int(counts["n"].min() or 0)  # type: ignore[arg-type]
    ks = sorted({2**i for i in range(most.bit_length()) if 2**i <= most} | ({most} if most else set()))
    cells = list(alike.select("n", "right", "problems").iter_rows())
    return {k: sum(m * pass_at_k(n, right, k) for n, right, m in cells) / counts.height for k in ks}


def pass_curves(run: pl.DataFrame) -> Iterator[tuple[str, float | None]]:
    """`BENCH before pass@K` and `BENCH after pass@K` of every benchmark of one run that was asked more than once."""
    for (bench,), rows in run.group_by("bench", maintain_order=True):
        if not rows["sample"].max():
            continue
        last = rows["step"].max()
        for word, step in {"before": 0, "after": last}.items():
            part = rows.filter(pl.col("step") == step)
            if part.height and (word == "before" or last):
                for k, share in pass_curve(part).items():
                    yield f"{bench} {word} pass@{k}", share
