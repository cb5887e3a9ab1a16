"""What became of every benchmark in a run: before and after training, against training problems, and at pass@k."""

from collections.abc import Iterator, Mapping, Sequence

from spurious.scores import pass_at_k


def changes(accuracy: Mapping[tuple[str, int], float], train: Mapping[str, str]) -> Iterator[tuple[str, float | None]]:
    """Accuracy on each benchmark before training, after it, and the change, of one run.

    Args:
        accuracy: (bench, step) -> accuracy.
        train: bench of training problems -> bench of test problems; their gap is `TRAIN minus TEST before` and `after`.

    Yields:
        `BENCH before`, `BENCH after`, `BENCH change`; null where there is no evaluation at step 0 or no later one.
    """
    found: dict[tuple[str, str], float] = {}
    for (bench, step), value in sorted(accuracy.items()):
        found[bench, "after" if step else "before"] = value
    for bench in dict.fromkeys(bench for bench, _ in accuracy):
        before, after = (found.get((bench, word)) for word in ("before", "after"))
        yield f"{bench} before", before
        yield f"{bench} after", after
        yield f"{bench} change", None if before is None or after is None else after - before
    for mine, test in train.items():
        for word in ("before", "after"):
            ours, theirs = found.get((mine, word)), found.get((test, word))
            if ours is not None and theirs is not None:
                yield f"{mine} minus {test} {word}", ours - theirs


def pass_curve(problems: Sequence[tuple[int, int, int]]) -> dict[int, float]:
    """Unbiased pass@k for k = 1, 2, 4, ... up to the samples of a problem: k -> mean over problems.

    Args:
        problems: how many have so many samples and so many right ones: (samples, right, problems). With unequal numbers
            of samples the curve ends at the smallest.
    """
    most = min(n for n, _, _ in problems)
    size = sum(count for _, _, count in problems)
    ks = sorted({2**i for i in range(most.bit_length()) if 2**i <= most} | {most})
    return {k: sum(count * pass_at_k(n, right, k) for n, right, count in problems) / size for k in ks}
