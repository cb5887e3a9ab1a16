"""The grader under load: many grades, some of them hostile, workers killed on the way; what leaks, and what changes.

    python benchmarks/hostile/load.py [--grades 50000] [--hostile 0.05] [--seed 0] [--record FILE]

Grades go through the pool in batches, from several threads, as in training. A worker is killed after every tenth of
them. Afterwards a sample, all kinds of hostile answers among them, is graded again, one by one: each must get the same
status. Exit status 1 where something leaked, differs or was graded correct though it is not.
"""

import argparse
import gc
import json
import multiprocessing
import os
import platform
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import corpus

from spurious.types import Grade
from spurious.verify import grading, pool, verify, verify_many

BATCH = 256
THREADS = 3
ENDLESS = r"\int_{{0}}^{{1000}} \sin(x^{{7}}) \cos(e^{{x}}) dx+{}"
"""Its comparison is cut off, wherever it runs."""
Row = tuple[str, str, str]
"""Completion, gold, and what it is: `right`, `wrong` or `hostile`."""


def rows(count: int, hostile: float, rng: random.Random) -> list[Row]:
    """Completions as a model may write them: half in plain numbers, some that need a worker, some hostile."""
    return [_hostile(rng) if rng.random() < hostile else _usual(index, rng) for index in range(count)]


def _usual(index: int, rng: random.Random) -> Row:
    right, number = rng.random() < 0.5, index + 10
    if index % 20 == 0:
        other = number if right else number + 1
        return rf"so \boxed{{\frac{{X+{other}}}{{2}}}}", rf"\frac{{{number}+X}}{{2}}", "right" if right else "wrong"
    if index % 3 == 0:
        shown = rf"\frac{{{2 * number}}}{{{14 if right else 22}}}"
        return rf"\boxed{{{shown}}}", f"{number}/7", "right" if right else "wrong"
    return f"The answer is {number if right else number + 1}.", str(number), "right" if right else "wrong"


def _hostile(rng: random.Random) -> Row:
    if rng.random() < 0.02:
        bomb = ENDLESS.format(rng.randrange(10**6))
        return rf"\boxed{{{bomb}}}", rf"1+{ENDLESS.format(7)}", "hostile"
    return corpus.completion(rng), str(48611 + rng.randrange(100)), "hostile"


def grade_all(table: Sequence[Row]) -> tuple[list[Grade], int]:
    """The grades of all rows, in order, and how many workers were killed on the way."""
    batches = [table[start : start + BATCH] for start in range(0, len(table), BATCH)]
    killed, grades = 0, []
    with ThreadPoolExecutor(THREADS) as threads:
        for index, found in enumerate(threads.map(_grade, batches)):
            grades += found
            if index % max(1, len(batches) // 10) == 0:
                killed += kill_one()
    return grades, killed


def _grade(batch: Sequence[Row]) -> list[Grade]:
    return verify_many([(text, gold) for text, gold, _ in batch])


def workers() -> list[int]:
    """The processes of the pool."""
    return [one.pid for one in multiprocessing.active_children() if one.name == "pebble_pool_worker" and one.pid]


def kill_one() -> int:
    """Kill one worker, if there is one; how many were killed."""
    alive = workers()
    if not alive:
        return 0
    try:
        os.kill(alive[0], signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def graded_alone(
    table: Sequence[Row], grades: Sequence[Grade], sample: int, rng: random.Random
) -> tuple[int, list[str]]:
    """How many rows were graded again, one by one by new workers, and those whose grade differs.

    New ones, as one that was killed a moment ago may not have been missed yet and would take the next row with it.
    """
    known = [index for index, grade in enumerate(grades) if grade.status != "failed"]
    hostile = [index for index in known if table[index][2] == "hostile"]
    chosen = {*rng.sample(known, min(sample, len(known))), *rng.sample(hostile, min(sample, len(hostile)))}
    forget()
    pool.close()
    different = []
    for index in sorted(chosen):
        text, gold, _ = table[index]
        alone = verify(text, gold)
        if alone != grades[index]:
            different.append(f"{gold!r} {text[:200]!r}: {grades[index]} in the crowd, {alone} alone")
    return len(chosen), different


def forget() -> None:
    """Empty what the grader remembers."""
    grading._settled.clear()
    grading._remembered.cache_clear()


def mistaken(table: Sequence[Row], grades: Sequence[Grade]) -> list[str]:
    """Rows whose grade is not what they were made to be."""
    found = []
    for (text, gold, kind), grade in zip(table, grades, strict=True):
        if grade.status != "failed" and grade.correct != (kind == "right"):
            found.append(f"{kind}: {gold!r} {text[:200]!r}: {grade}")
    return found


def footprint() -> dict[str, int]:
    """What this process holds: file handles, memory in MiB, child processes."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {
        "file_handles": len(os.listdir("/proc/self/fd")),
        "memory_mib": pages * os.sysconf("SC_PAGE_SIZE") // 2**20,
        "processes": len(multiprocessing.active_children()),
    }


def run(count: int, hostile: float, seed: int, sample: int) -> dict[str, object]:
    """Grade, look, grade again; what is committed."""
    rng = random.Random(seed)
    grade_all(rows(2 * BATCH, hostile, rng))  # the pool, its threads and all imports are there
    pool.close()
    before = footprint()
    table = rows(count, hostile, rng)
    start = time.monotonic()
    grades, killed = grade_all(table)
    seconds = time.monotonic() - start
    alive = len(workers())
    again, different = graded_alone(table, grades, sample, rng)
    statuses = Counter(grade.status for grade in grades)
    wrong = mistaken(table, grades)
    del table, grades
    forget()
    pool.close()
    return {
        "grades": count,
        "hostile": hostile,
        "seconds": round(seconds, 1),
        "statuses": dict(sorted(statuses.items())),
        "workers_killed": killed,
        "workers_at_the_end": alive,
        "graded_again_alone": again,
        "different_alone": different,
        "mistaken": wrong,
        "before": before,
        "after": footprint(),
        "python": platform.python_version(),
    }


def leaks(found: dict[str, object]) -> list[str]:
    """What grew: any child process, more than five file handles, more than 200 MiB."""
    before, after = found["before"], found["after"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    allowed = {"processes": 0, "file_handles": 5, "memory_mib": 200}
    return [name for name, more in allowed.items() if after[name] > before[name] + more]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grades", type=int, default=50_000)
    parser.add_argument("--hostile", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--record", type=Path, help="JSON file that gets the record, beside those of the fuzzer")
    options = parser.parse_args(arguments)
    found = run(options.grades, options.hostile, options.seed, options.sample)
    found["leaks"] = leaks(found)
    print(json.dumps(found, indent=2))
    if options.record:
        corpus.keep(options.record, "load", found)
    return 1 if found["leaks"] or found["different_alone"] or found["mistaken"] else 0


if __name__ == "__main__":
    sys.exit(main())
