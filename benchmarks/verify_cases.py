"""Grading figures on labeled cases and on every DeepScaleR gold.

    python benchmarks/verify_cases.py [../shared] [--half look|score|all] [--golds N] [--quiet]

Cases: share right, false positives and slowest grade per file, without the rows that docs/grading.md excludes, then
each row that is not as labeled. `--half` splits by a hash of the row; docs/grading.md says what was looked at when.
Golds (`--golds 0` skips them, the default is all): each against itself, against a rewritten equivalent and against
the next different gold, with the string step switched off; failures by kind.
"""

import argparse
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spurious.types import Grade
from spurious.verify import disagreements, unparsable_golds, verify, verify_many

CASES = ("equivalence", "adversarial", "deepscaler_majority_vote_pairs")
DOCS = Path(__file__).resolve().parents[1] / "docs" / "grading.md"
_ARITHMETIC = re.compile(r"(?:[-+*/^(){}\s\d.a-z]|\\(?:frac|sqrt|pi|cdot|ln)(?![a-z]))+")
_NO_ARITHMETIC = re.compile(r"(?<![\\a-z])[a-z]{2,}|[.,]$|\.\.|^[^\\\d]*$")
"""What makes a gold no expression to calculate with: a word, loose punctuation, or nothing but letters."""


@dataclass(frozen=True)
class Graded:
    """A labeled case with its grade and the seconds it took."""

    row: dict[str, Any]
    grade: Grade
    seconds: float

    @property
    def right(self) -> bool:
        return self.grade.correct == self.row["expected"]


def excluded_rows() -> set[int]:
    """Ids of the equivalence rows that docs/grading.md says our conventions exclude."""
    lines = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| excluded:")]
    return {int(number) for line in lines for number in re.findall(r"\d+", line.split("|")[2])}


def half_of(row: dict[str, Any]) -> str:
    digest = hashlib.sha256(f"{row['gold']}\0{row['prediction']}".encode("utf-8", "surrogatepass")).digest()
    return "score" if digest[0] & 1 else "look"


def graded_cases(shared: Path, name: str, half: str = "all") -> list[Graded]:
    """Grade the labeled rows of one file one by one, leniently, as a user would."""
    lines = (shared / "cases" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    excluded = excluded_rows() if name == "equivalence" else set()
    graded = []
    for row in map(json.loads, lines):
        if half not in ("all", half_of(row)) or row["expected"] is None or row.get("id") in excluded:
            continue
        start = time.perf_counter()
        grade = verify(row["prediction"], row["gold"])
        graded.append(Graded(row, grade, time.perf_counter() - start))
    return graded


def report_cases(shared: Path, half: str, quiet: bool) -> None:
    for name in CASES:
        graded = graded_cases(shared, name, half)
        wrong = [case for case in graded if not case.right]
        statuses = Counter(case.grade.status for case in graded)
        print(
            f"{name} [{half}]: {len(graded) - len(wrong)}/{len(graded)} = {1 - len(wrong) / len(graded):.4f} right, "
            f"{sum(case.grade.correct for case in wrong)} false positives, "
            f"slowest {max(case.seconds for case in graded):.2f} s, {dict(statuses)}"
        )
        differ = disagreements([(case.row["prediction"], case.row["gold"]) for case in graded])
        print(f"    math-verify alone differs on {len(differ)}")
        for case in wrong if not quiet else ():
            row = case.row
            shown = (row["gold"][:80], row["prediction"][-80:], case.grade.status, (case.grade.extracted or "")[:60])
            print("    labeled", row["expected"], row.get("id"), *map(repr, shown))


def load_golds(shared: Path, limit: int) -> list[str]:
    """About `limit` of the golds, evenly spread, in file order."""
    files = sorted((shared / "data").glob("deepscaler_level_*.json"))
    golds = [row["answer"] for file in files for row in json.loads(file.read_text(encoding="utf-8"))]
    return golds[:: max(1, len(golds) // limit)]


def rewritings(gold: str) -> Iterator[tuple[str, str]]:
    """(kind, equivalent spelling) by rules that know nothing of the normalizer."""
    bare = gold.strip().strip("$").strip()
    if re.fullmatch(r"-?\d{1,4000}", bare):
        yield "integer as decimal", f"{bare}.0"
        yield "integer as fraction", rf"\frac{{{2 * int(bare)}}}{{2}}"
        if re.fullmatch(r"-?[1-9]\d{3,}", bare):
            yield "thousands separators", f"{int(bare):,}".replace(",", "{,}")
    elif match := re.fullmatch(r"(-?\d+)\s*/\s*(\d+)", bare):
        yield "a/b as fraction", rf"\frac{{{match[1]}}}{{{match[2]}}}"
        yield "fraction not reduced", rf"\dfrac{{{3 * int(match[1])}}}{{{3 * int(match[2])}}}"
    elif match := re.fullmatch(r"(-?)\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}", bare):
        yield "fraction as a/b", f"{match[1]}{match[2]}/{match[3]}"
        yield "fraction not reduced", rf"{match[1]}\dfrac{{{3 * int(match[2])}}}{{{3 * int(match[3])}}}"
    elif match := re.fullmatch(r"(-?\d*)\.(\d+)", bare):
        yield "decimal with zeros", f"{bare}000"
        yield "decimal as fraction", rf"\frac{{{match[1]}{match[2]}}}{{{10 ** len(match[2])}}}"
    elif _ARITHMETIC.fullmatch(bare) and not _NO_ARITHMETIC.search(bare):
        yield "times one", rf"1 \cdot \left( {bare} \right)"
        yield "thrice minus twice", rf"3 \left( {bare} \right) - 2 \left( {bare} \right)"
    yield "dollars", f"${bare}$" if "$" not in gold and r"\[" not in gold else gold
    if "," in bare and not re.search(r"\d,\d{3}(?!\d)|text|mbox|\\!|\{,", bare):
        yield "spaces", re.sub(r"(?<!\\),", r",\\; ", bare)
    if "(" in bare and r"\left" not in bare and bare.count("(") == bare.count(")") and not re.search(r"\[|text", bare):
        yield "left and right", bare.replace("(", r"\left( ").replace(")", r" \right)")
    if r"\frac" in bare:
        yield "dfrac", bare.replace(r"\frac", r"\dfrac")


def rewritten(gold: str) -> tuple[str, str]:
    """One of the rewritings, the same for the same gold."""
    options = list(rewritings(gold))
    return options[hashlib.sha256(gold.encode()).digest()[0] % len(options)]


def compare_golds(golds: list[str], answers: list[str]) -> list[Grade]:
    """Grade boxed answers against golds with the string step switched off."""
    pairs = [(rf"\boxed{{{answer}}}", gold) for answer, gold in zip(answers, golds, strict=True)]
    return verify_many(pairs, extraction="strict", steps=("exact", "symbolic"))


def report_golds(shared: Path, limit: int) -> None:
    golds = load_golds(shared, limit)
    start = time.perf_counter()
    unreadable = unparsable_golds(golds)
    print(f"{len(golds)} golds, {len(unreadable)} cannot be graded against ({time.perf_counter() - start:.0f} s)")
    for reason, count in Counter(unreadable.values()).items():
        print(f"    {count} {reason}")
    golds = [gold for index, gold in enumerate(golds) if index not in unreadable]
    kinds, spellings = zip(*map(rewritten, golds), strict=True)
    others = [next(other for other in golds[i + 1 :] + golds if other != gold) for i, gold in enumerate(golds)]
    plan = [("itself", golds, True), ("rewritten", list(spellings), True), ("next different gold", others, False)]
    for title, answers, expected in plan:
        start = time.perf_counter()
        grades = compare_golds(golds, answers)
        failed = [index for index, grade in enumerate(grades) if grade.correct != expected]
        print(f"{title}: {len(golds) - len(failed)}/{len(golds)} as expected, {time.perf_counter() - start:.0f} s")
        by_kind = Counter((kinds[i] if title == "rewritten" else title, grades[i].status) for i in failed)
        for (kind, status), count in by_kind.most_common():
            print(f"    {count} {kind}: {status}")
        for shown in dict.fromkeys((golds[i][:90], answers[i][:90]) for i in failed):
            print("       ", *map(repr, shown))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "shared", type=Path, nargs="?", default=Path("../shared"), help="the folder that holds cases/ and data/"
    )
    parser.add_argument("--half", choices=("look", "score", "all"), default="all")
    parser.add_argument("--golds", type=int, default=10**9, help="at most about so many golds; 0 for none")
    parser.add_argument("--quiet", action="store_true", help="no single rows of the cases")
    arguments = parser.parse_args()
    if not arguments.shared.is_dir():
        print(f"{arguments.shared}: no such folder, nothing is graded")
        return
    report_cases(arguments.shared, arguments.half, arguments.quiet)
    if arguments.golds:
        report_golds(arguments.shared, arguments.golds)


if __name__ == "__main__":
    main()
