"""A run comes to what it came to when the reference was written, on any machine, but for rounding."""

import json

import pytest
import reference


def test_a_run_follows_the_reference_trajectory(organism_dir, tmp_path):
    expected = json.loads(reference.RECORD.read_text(encoding="utf-8"))
    found = reference.trajectory(organism_dir, tmp_path)
    assert len(found) == len(expected) == reference.RUN["steps"]
    for step, (one, other) in enumerate(zip(found, expected, strict=True)):
        for name in reference.METRICS:
            assert one[name] == pytest.approx(other[name], rel=1e-3, abs=1e-6), f"{name} at step {step}"


def test_the_reference_moves_and_clips():
    steps = json.loads(reference.RECORD.read_text(encoding="utf-8"))
    assert all(step["ratio/clip_fraction_low"] > 0 and step["ratio/clip_fraction_high"] > 0 for step in steps)
    assert len({step["entropy/mean"] for step in steps}) == len(steps)
