"""The acceptance figures on labeled cases and real golds, where these lie beside the checkout."""

import importlib.util
import sys
from pathlib import Path

import pytest

from spurious.verify import unparsable_golds, verify

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "verify_cases.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("verify_cases", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", autouse=True)
def _warm():
    """The pool's one-time start is not part of a grade's time."""
    assert verify(r"\boxed{x+1}", "1+x").correct


@pytest.mark.parametrize(
    ("name", "least", "most_false_positives"),
    [("equivalence", 0.93, 5), ("adversarial", 0.95, 0), ("deepscaler_majority_vote_pairs", 0.99, 0)],
)
def test_labeled_cases(benchmark, shared, name, least, most_false_positives):
    graded = benchmark.graded_cases(shared, name)
    right = sum(case.right for case in graded)
    assert right / len(graded) >= least
    assert sum(case.grade.correct and not case.right for case in graded) <= most_false_positives
    assert max(case.seconds for case in graded) < 2
    assert not any(case.grade.status == "failed" for case in graded)


def test_few_rows_are_excluded(benchmark, shared):
    rows = (shared / "cases" / "equivalence.jsonl").read_text(encoding="utf-8").splitlines()
    assert 0 < len(benchmark.excluded_rows()) <= len(rows) / 10


@pytest.mark.slow
def test_real_golds_without_the_string_step(benchmark, shared):
    golds = benchmark.load_golds(shared, 2000)
    unreadable = unparsable_golds(golds)
    assert len(unreadable) <= len(golds) / 200
    golds = [gold for index, gold in enumerate(golds) if index not in unreadable]
    assert share(benchmark, golds, golds) >= 0.999
    assert share(benchmark, golds, [benchmark.rewritten(gold)[1] for gold in golds]) >= 0.998
    integers = [gold for gold in golds if gold.isdigit()]
    assert share(benchmark, integers, [str(int(gold) + 1) for gold in integers]) == 0


def share(benchmark, golds, answers):
    return sum(grade.correct for grade in benchmark.compare_golds(golds, answers)) / len(golds)
