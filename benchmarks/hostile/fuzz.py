"""Fuzz answer extraction and the equality ladder; count, keep what breaks, write a record.

    python benchmarks/hostile/fuzz.py [--seconds 60] [--seed 0] [--engine mutate|atheris] [--record FILE] [--keep DIR]

`mutate` changes the seeds of corpus.py at random; `atheris` (pip install atheris) is guided by coverage of the grader.
What counts as a finding: an exception, more than two seconds of CPU, an answer that is too long or no text, a strict
answer that the lenient reading does not give (unless an answer tag says so), a wrong answer graded correct, a file that
appears where this runs, a process that is left behind. Exit status 1 where there is one.
"""

import argparse
import json
import multiprocessing
import os
import platform
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import corpus

LONGEST = 2.0
"""Seconds of CPU that a grade may take."""
SUSPECT = 0.02
"""Seconds by the clock after which a grade's CPU time is measured; asking for it every time costs more than grading."""
EXTRACTED_AT_ONCE = 100
"""Extractions for each ten comparisons: extraction is the cheaper one, and sees all text."""
GOLDS = (
    "48611", r"\frac{48611}{7}", r"48611\sqrt{17}", r"\{48611,3\}", "(48611,5)", "x^2+48611", r"\text{quixotic}",
    "48611.125",
    r"[48611,\infty)", r"\begin{pmatrix}48611\\2\end{pmatrix}", "48611:7", r"48611\%", "y=48611x",
)  # fmt: skip
"""No seed or token holds their number or word: an answer without it that is graded correct is a finding."""
MARKS = ("48611", "quixotic")


@dataclass
class Tally:
    """What has been tried and found so far."""

    extracted: int = 0
    compared: int = 0
    symbolic: int = 0
    slowest: dict[str, float] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, str]] = field(default_factory=list)

    def watch(self, what: str, text: str, call: Callable[[], object]) -> object:
        """Run `call` on `text`; what it raises, and too long a run, are findings."""
        start = time.perf_counter()
        try:
            found = call()
        except Exception as error:
            self.find(what, f"{type(error).__name__}: {error}"[:200], text)
            return None
        if time.perf_counter() - start > SUSPECT:
            self.measure(what, text, call)
        return found

    def measure(self, what: str, text: str, call: Callable[[], object]) -> None:
        """The CPU time of a call that was slow by the clock: another process may have had the machine."""
        forget()
        start = time.thread_time()
        call()
        spent = time.thread_time() - start
        self.slowest[what] = max(spent, self.slowest.get(what, 0.0))
        if spent > LONGEST:
            self.find(what, f"{spent:.1f} seconds", text)

    def find(self, what: str, why: str, text: str) -> None:
        """Keep a finding, the first hundred of them."""
        if len(self.findings) < 100:
            self.findings.append({"what": what, "why": why, "text": text[:20_000]})


def forget() -> None:
    """Empty the grader's caches of short answers."""
    from spurious.verify import exact, grading, ladder, numeric

    for cache in (exact._remembered, grading._remembered, ladder._remembered, numeric._remembered, exact.terminates):
        cache.cache_clear()


def try_extraction(tally: Tally, text: str) -> str | None:
    """Both readings of one completion; the lenient answer."""
    from spurious.verify import extract

    tally.extracted += 1
    lenient = tally.watch("extract", text, lambda: extract(text))
    strict = tally.watch("extract", text, lambda: extract(text, "strict"))
    if strict is not None and lenient != strict and "<answer>" not in text:
        tally.find("extract", f"strict {strict!r:.80}, lenient {lenient!r:.80}", text)
    for answer in (lenient, strict):
        if isinstance(answer, str) and (len(answer) > 10_000 or any("\ud800" <= char <= "\udfff" for char in answer)):
            tally.find("extract", f"an answer of {len(answer)} characters, or no text", text)
    return lenient if isinstance(lenient, str) else None


def try_ladder(tally: Tally, gold: str, answer: str) -> bool:
    """One comparison in this process, and the form under which the answer votes; whether the workers must be asked."""
    from spurious.verify import canonical
    from spurious.verify.ladder import decide

    tally.compared += 1
    status = tally.watch("ladder", f"{gold}\n{answer}", lambda: decide(gold, answer))
    tally.watch("canonical", answer, lambda: canonical(answer))
    if status is not None:
        count(tally, gold, answer, str(status))
    return status is None


def count(tally: Tally, gold: str, answer: str, status: str) -> None:
    tally.statuses[status] += 1
    if status == "correct" and not any(mark in answer for mark in MARKS):
        tally.find("ladder", "graded correct", f"{gold}\n{answer}")


def try_workers(tally: Tally, asked: list[tuple[str, str]]) -> None:
    """The symbolic step on comparisons that this process could not settle."""
    from spurious.verify import verify_many

    boxed = [(rf"\boxed{{{answer}}}", gold) for gold, answer in asked]
    for (gold, answer), grade in zip(asked, verify_many(boxed), strict=True):
        tally.symbolic += 1
        count(tally, gold, answer, grade.status)


def fuzz_by_mutation(tally: Tally, rng: random.Random, until: float, symbolic_share: float) -> None:
    """Extractions and comparisons in turn, until the clock says stop."""
    asked: list[tuple[str, str]] = []
    while time.monotonic() < until:
        for _ in range(EXTRACTED_AT_ONCE):
            try_extraction(tally, corpus.completion(rng))
        for _ in range(EXTRACTED_AT_ONCE // 10):
            gold, answer = rng.choice(GOLDS), corpus.answer(rng)
            if try_ladder(tally, gold, answer) and rng.random() < symbolic_share:
                asked.append((gold, answer))
        if len(asked) >= 64:
            try_workers(tally, asked)
            asked.clear()


def fuzz_by_coverage(tally: Tally, seed: int, until: float) -> None:
    """atheris chooses the texts, in a child process that it would not give back: the child writes what it counted."""
    with tempfile.TemporaryDirectory() as folder:
        counted = Path(folder, "counted.json")
        child = os.fork()
        if not child:
            _guided(counted, Path(folder), random.Random(seed), until)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if not counted.exists():
            tally.find("atheris", f"ended with {status}", "")
            return
        found = json.loads(counted.read_text(encoding="utf-8"))
    for name in ("extracted", "compared", "slowest", "findings"):
        setattr(tally, name, found[name])
    tally.statuses.update(found["statuses"])


def _guided(counted: Path, folder: Path, rng: random.Random, until: float) -> None:
    import atheris

    with atheris.instrument_imports(include=["spurious.verify"]):
        import spurious.verify.ladder  # noqa: F401
    tally = Tally()

    def one(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        answer = try_extraction(tally, text)
        try_ladder(tally, rng.choice(GOLDS), answer or text[:2000])
        if time.monotonic() > until:
            counted.write_text(json.dumps(vars(tally)), encoding="utf-8")
            os._exit(0)

    seeds = folder / "corpus"
    seeds.mkdir()
    for index, text in enumerate((*corpus.ANSWERS, *corpus.BOMBS, *corpus.INJECTIONS, *corpus.TEXTS)):
        (seeds / str(index)).write_bytes(text.encode("utf-8", "replace"))
    quiet = ("-verbosity=0", "-print_final_stats=0", "-report_slow_units=1000000", f"-artifact_prefix={folder}/")
    atheris.Setup([sys.argv[0], "-max_len=3000", *quiet, str(seeds)], one)
    atheris.Fuzz()


def record(tally: Tally, engine: str, seconds: float, left: list[str]) -> dict[str, object]:
    """What is committed: counts, the slowest of each kind, findings by kind, and where it ran."""
    return {
        "engine": engine,
        "seconds": round(seconds),
        "completions_extracted": tally.extracted,
        "answers_compared": tally.compared,
        "answers_compared_by_workers": tally.symbolic,
        "statuses": dict(sorted(tally.statuses.items())),
        "slowest_cpu_seconds": {what: round(spent, 3) for what, spent in sorted(tally.slowest.items())},
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "findings": len(tally.findings),
        "files_created": left,
        "processes_left": len(multiprocessing.active_children()),
        "python": platform.python_version(),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("mutate", "atheris"), default="mutate")
    parser.add_argument("--symbolic-share", type=float, default=0.02, help="of the comparisons that need a worker")
    parser.add_argument("--record", type=Path, help="JSON file that gets the record of this engine and seed")
    parser.add_argument("--keep", type=Path, help="folder that gets the findings")
    options = parser.parse_args(arguments)
    record_path = options.record and options.record.resolve()
    keep = options.keep and options.keep.resolve()
    tally, start = Tally(), time.monotonic()
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as empty:
        os.chdir(empty)
        try:
            if options.engine == "atheris":
                fuzz_by_coverage(tally, options.seed, start + options.seconds)
            else:
                fuzz_by_mutation(tally, random.Random(options.seed), start + options.seconds, options.symbolic_share)
            left = sorted(path.name for path in Path(empty).iterdir())
        finally:
            os.chdir(before)
    from spurious.verify import pool

    pool.close()
    summary = record(tally, options.engine, time.monotonic() - start, left)
    print(json.dumps(summary, indent=2))
    for number, finding in enumerate(tally.findings):
        print(finding["what"], finding["why"], repr(finding["text"][:200]), file=sys.stderr)
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{number:03d}.json").write_text(json.dumps(finding), encoding="utf-8")
    if record_path:
        corpus.keep(record_path, f"{options.engine}, seed {options.seed}", summary)
    return 1 if tally.findings or left or summary["processes_left"] else 0


if __name__ == "__main__":
    sys.exit(main())
