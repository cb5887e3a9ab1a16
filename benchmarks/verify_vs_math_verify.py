"""Our grader against math-verify, in one process and in a pool of its own: rates on real golds, tails on hostile text.

    python benchmarks/verify_vs_math_verify.py [../shared] [--golds 600] [--pairs 3] [--workers 2] [--write]

Golds: DeepScaleR's, evenly spread, each against itself, against a rewritten equivalent and against the next different
gold, all boxed; the same pairs for both, and others in every turn, since ours remembers what it has compared. Hostile:
every text of cases/adversarial.jsonl once, one by one for the tails (and math-verify's rate) and together. Where the
two do not agree is printed by kind.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from record import Table, command_line, publish
from side_by_side import in_turns, ratio
from verify_cases import load_golds, rewritten

from spurious.verify import unparsable_golds, verify, verify_many

Pair = tuple[str, str]
"""What a model wrote, and the gold."""
WARM_UP: Pair = (r"\boxed{\frac{1}{2}}", "0.5")


def math_verify_grade(pair: Pair) -> bool:
    """As its README has it: parse both, compare; what it raises or gives up is wrong."""
    from math_verify import parse
    from math_verify import verify as same

    text, gold = pair
    try:
        return bool(same(parse(f"${gold}$"), parse(text)))
    except Exception:
        return False


def silent() -> None:
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)


def pairs_of_golds(shared: Path, limit: int) -> list[tuple[str, Pair]]:
    """(kind, pair) for the three ways of asking."""
    golds = load_golds(shared, limit)
    unreadable = unparsable_golds(golds)
    golds = [gold for index, gold in enumerate(golds) if index not in unreadable]
    others = [next(other for other in golds[i + 1 :] + golds if other != gold) for i, gold in enumerate(golds)]
    asked = []
    for gold, other in zip(golds, others, strict=True):
        for kind, answer in (("itself", gold), ("rewritten", rewritten(gold)[1]), ("next different", other)):
            asked.append((kind, (rf"\boxed{{{answer}}}", gold)))
    return asked


def ours(pairs: Sequence[Pair], workers: int) -> list[bool]:
    return [grade.correct for grade in verify_many(pairs, extraction="strict", workers=workers)]


def alone(pairs: Sequence[Pair]) -> list[bool]:
    return [math_verify_grade(pair) for pair in pairs]


def pooled(pairs: Sequence[Pair], pool: ProcessPoolExecutor) -> list[bool]:
    return list(pool.map(math_verify_grade, pairs, chunksize=32))


def seconds_each(grade: Callable[[Pair], Any], pairs: Sequence[Pair]) -> list[float]:
    taken = []
    for pair in pairs:
        started = time.perf_counter()
        grade(pair)
        taken.append(time.perf_counter() - started)
    return taken


def rates(pairs: list[Pair], turns: int, workers: int) -> dict[str, Any]:
    """Grades a second of golds, and how many times ours is as fast."""
    parts = [pairs[i :: turns + 1] for i in range(turns + 1)]

    def each_in_turn(grade: Callable[[Sequence[Pair]], Any]) -> Callable[[], Any]:
        coming = iter(parts)
        return lambda: grade(next(coming))

    with ProcessPoolExecutor(workers, initializer=silent) as pool:
        ways = [partial(ours, workers=workers), alone, partial(pooled, pool=pool)]
        mine, single, many = in_turns([each_in_turn(way) for way in ways], turns)
    sizes = [len(part) for part in parts[1:]]
    return _row(f"golds ({len(pairs)})", 8.0, mine, single, many, sizes)


def hostile(pairs: list[Pair], workers: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The same of hostile text, once: all together; and milliseconds of single grades."""
    for grade in (lambda pair: verify(*pair), math_verify_grade):
        grade(WARM_UP)  # imports what it needs
    each = {
        "ours": seconds_each(lambda pair: verify(*pair), pairs),
        "math-verify": seconds_each(math_verify_grade, pairs),
    }
    fresh = ProcessPoolExecutor(1, get_context("spawn"))  # ours has seen these here, and remembers
    with fresh, ProcessPoolExecutor(workers, initializer=silent) as pool:
        fresh.submit(ours, [WARM_UP] * 100, workers).result()
        pooled([WARM_UP] * 100, pool)
        ways = [lambda: fresh.submit(ours, pairs, workers).result(), lambda: pooled(pairs, pool)]
        mine, many = in_turns(ways, 1, warm_up=False)
    row = _row(f"hostile ({len(pairs)})", 20.0, mine, [sum(each["math-verify"])], many, [len(pairs)])
    return row, [_tails(name, 1000 * np.array(taken)) for name, taken in each.items()]


def _row(
    name: str, goal: float, mine: list[float], single: list[float], many: list[float], sizes: list[int]
) -> dict[str, Any]:
    def rate(seconds: Sequence[float]) -> float:
        return median(n / one for n, one in zip(sizes, seconds, strict=True))

    return {
        "pairs": name,
        "ours/s": rate(mine),
        "math-verify/s": rate(single),
        "its pool/s": rate(many),
        "times as fast": ratio(mine, single),
        "times its pool": ratio(mine, many),
        "goal": goal,
    }


def _tails(name: str, taken: np.ndarray) -> dict[str, Any]:
    return {
        "grader": name,
        "median ms": float(np.median(taken)),
        "90 % ms": float(np.quantile(taken, 0.9)),
        "99 % ms": float(np.quantile(taken, 0.99)),
        "longest ms": float(taken.max()),
        "over a second": int((taken > 1000).sum()),
    }


def differences(asked: list[tuple[str, Pair]], workers: int) -> tuple[str, list[dict[str, Any]]]:
    """How many grades differ, and how many of each kind; which ones is printed."""
    pairs = [pair for _, pair in asked]
    differing = [
        (kind, mine, pair)
        for (kind, pair), mine, other in zip(asked, ours(pairs, workers), alone(pairs), strict=True)
        if mine != other
    ]
    for kind, mine, (text, gold) in differing[:20]:
        print(kind, "ours", mine, repr(text[:80]), repr(gold[:80]))
    counts = Counter((kind, mine) for kind, mine, _ in differing).most_common()
    rows = [{"answer": kind, "ours": "correct" if mine else "wrong", "grades": count} for (kind, mine), count in counts]
    return f"{len(differing)} of {len(asked)} grades of golds differ", rows


def main() -> None:
    parser = command_line(__doc__, golds=600, pairs=3, workers=2)
    parser.add_argument("shared", type=Path, nargs="?", default=Path("../shared"))
    arguments = parser.parse_args()
    if not arguments.shared.is_dir():
        print(f"{arguments.shared}: no such folder, nothing is graded")
        return
    silent()
    asked = pairs_of_golds(arguments.shared, arguments.golds)
    lines = (arguments.shared / "cases" / "adversarial.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [(row["prediction"], row["gold"]) for row in map(json.loads, lines)]
    together, one_by_one = hostile(cases, arguments.workers)
    golds = rates([pair for _, pair in asked], arguments.pairs, arguments.workers)
    tables = [Table("Grades a second", [golds, together]), Table("Hostile text, one by one", one_by_one)]
    title, differing = differences(asked, arguments.workers)
    if differing:
        tables.append(Table(title, differing))
    publish("verify_vs_math_verify", tables, arguments, notes=[] if differing else [f"{title}."])


if __name__ == "__main__":
    main()
