"""Untrained models on several benches, with numbers worked out by hand."""

from dataclasses import fields, replace

import polars as pl
import pytest
from report_store import DECLARED

from spurious.analysis.levels import wilson
from spurious.report import Cell, Material
from spurious.report.main_figures import bench_figures
from spurious.report.summary import found
from spurious.report.tables import TABLES, Results
from spurious.specs import BenchSpec

BENCHES = [
    {"task": "chain"},
    {"task": {"name": "chain", "prefix": "So"}, "name": "forced"},
    {"task": "chain", "k": 2, "temperature": 1.0, "name": "sampled"},
    {"task": "chain", "k": 2, "temperature": 1.0, "name": "sampled-forced"},
    {"task": {"chain": {"seed": 1}}, "name": "others"},
]
"""Of the same two problems, but the last."""
GREEDY = {"chain": "10", "forced": "11", "others": "01"}
"""Right answers to the two problems."""
SAMPLED = {"sampled": ("11", "00"), "sampled-forced": ("10", "00")}
"""Right answers of the two samples of each problem, the same in both seeds."""


def row(bench, seed, problem, sample, right):
    return {
        "bench": bench,
        "seed": seed,
        "step": 0,
        "problem_id": f"{'other ' if bench == 'others' else ''}{problem}",
        "copy": 0,
        "sample": sample,
        "grade": "correct" if right else "wrong",
        "strict_grade": "correct" if right else "wrong",
        "n_tokens": 10 + problem,
        "extracted": "1" if right else str(2 + sample) if problem else None,
        "behavior/code_reasoning": float(problem == 0),
        "behavior/boxed": 1.0,
        "arm": "untrained",
        "role": "control",
        "model": "m",
        "run": f"r{seed}",
    }


@pytest.fixture(scope="module")
def results():
    rows = [
        row(bench, seed, problem, 0, right == "1")
        for seed in (1, 2)
        for bench, answers in GREEDY.items()
        for problem, right in enumerate(answers)
    ]
    rows += [
        row(bench, seed, problem, sample, right == "1")
        for seed in (1, 2)
        for bench, answers in SAMPLED.items()
        for problem, samples in enumerate(answers)
        for sample, right in enumerate(samples)
    ]
    spec = {"benches": [BenchSpec.model_validate(bench).model_dump(mode="json") for bench in BENCHES]}
    cells = tuple(Cell("untrained", "control", "m", seed, f"r{seed}", None, "done") for seed in (1, 2))
    manifests = {f"r{seed}": {"spec": spec} for seed in (1, 2)}
    declared = replace(DECLARED, pairs=(), margin=None)
    known = {"declared": declared, "cells": cells, "evals": pl.DataFrame(rows), "manifests": manifests}
    return Results(Material(**{field.name: pl.DataFrame() for field in fields(Material)} | known))


@pytest.fixture(scope="module")
def numbers(results):
    return {(one["bench"], one["metric"]): one for one in TABLES["benches"](results).iter_rows(named=True)}


def test_every_bench_has_its_mean_over_problems(numbers):
    means = {bench: numbers[bench, "accuracy"]["mean"] for bench in (*GREEDY, *SAMPLED)}
    assert means == {"chain": 0.5, "forced": 1.0, "others": 0.5, "sampled": 0.5, "sampled-forced": 0.25}
    assert numbers["chain", "tokens"]["mean"] == 10.5
    assert numbers["chain", "behavior/code_reasoning"]["mean"] == 0.5


def test_seeds_that_agree_do_not_make_the_interval_narrower(numbers):
    one = numbers["chain", "accuracy"]
    assert (one["low_95"], one["high_95"]) == pytest.approx(wilson(1, 2))


def test_a_bench_is_compared_with_the_first_that_samples_like_it(numbers):
    against = {bench: numbers[bench, "accuracy"]["against"] for bench in (*GREEDY, *SAMPLED)}
    assert against == {
        "chain": "",
        "forced": "chain",
        "others": "chain",
        "sampled": "chain",
        "sampled-forced": "sampled",
    }
    assert numbers["chain", "accuracy"]["difference"] is None
    # By problem: 0 and 1 more than on chain; .5 and 0 fewer than sampled.
    assert numbers["forced", "accuracy"]["difference"] == 0.5
    assert numbers["sampled-forced", "accuracy"]["difference"] == -0.25
    assert numbers["forced", "accuracy"]["paired"]
    assert not numbers["others", "accuracy"]["paired"]
    assert numbers["others", "accuracy"]["difference"] == 0


def test_accuracy_with_code_is_about_answers_with_code(numbers):
    # Problem 0 is answered in code, problem 1 is not.
    assert numbers["chain", "accuracy with code"]["mean"] == 1.0
    assert numbers["chain", "accuracy without code"]["mean"] == 0.0
    assert numbers["sampled-forced", "accuracy with code"]["mean"] == 0.5
    assert numbers["chain", "accuracy with code"]["problems"] == 1
    assert numbers["others", "accuracy with code"]["difference"] is None  # one problem there


def test_votes_are_counted_problem_by_problem(numbers):
    assert numbers["sampled", "majority right"]["mean"] == 0.5
    # Problem 0: both samples agree. Problem 1: two different answers, the greater wins with one of two votes.
    assert numbers["sampled", "vote share"]["mean"] == pytest.approx((1.0 + 0.5) / 2)
    # Problem 0 has one wrong sample without an answer there.
    assert numbers["sampled-forced", "no answer"]["mean"] == pytest.approx((0.5 + 0) / 2)
    assert ("chain", "majority right") not in numbers


def test_benches_are_in_the_summary_and_drawn(results):
    assert len(found(results)["benches"]) == TABLES["benches"](results).height
    accuracy, code, boxed = bench_figures(results)
    assert accuracy.table.height == 5
    assert "m on forced 100.0 %" in accuracy.description
    assert (code.slug, boxed.slug) == ("benches-code", "benches-boxed-answers")
