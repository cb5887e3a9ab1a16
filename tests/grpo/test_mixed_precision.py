"""Mixed precision beside float32, by the benchmark's own comparison, on a model with random weights."""

import importlib
from pathlib import Path

import pytest

from spurious.policy import load, prepare_process

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("mixed_precision")


def test_mixed_precision_is_near_to_float32(benchmark, organism_dir):
    """Random weights, whose gradient is small: rounding is a larger part of it than of a trained model's."""
    prepare_process()
    found = benchmark.compare(load(str(organism_dir)), problems=8, samples=2)
    assert 0 < found["logprob_mean"] < 0.02, found
    assert found["logprob_max"] < 0.2, found
    assert 0 < found["gradient_relative"] < 0.2, found
    assert found["gradient_cosine"] > 0.98, found
