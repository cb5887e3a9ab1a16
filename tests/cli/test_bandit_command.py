"""`spurious bandit` as a user meets it."""

import json
import subprocess
import sys

import pytest

from spurious.cli import main

SHORT = ["--seeds=40", "--steps=20", "--samples=4", "--updates=4"]


@pytest.fixture
def bandit(capsys):
    """Call the command in this process; exit status, output and message."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main(["bandit", *map(str, arguments)])
        captured = capsys.readouterr()
        return exit.value.code, captured.out, captured.err

    return call


def test_the_page_has_every_arm_and_the_worked_example(bandit):
    code, out, err = bandit(*SHORT)
    assert (code, err) == (0, "")
    for words in ("reinforce, lr x 4", "grpo, clip 0.05", "grpo, high 0.2 only", "grpo, no clip", "40 seeds from 0"):
        assert words in out
    for words in ("0.68 to 1.02  never reached", "0.016 to 0.024   within reach", "exactly, after 3 steps"):
        assert words in out


def test_json_is_one_document_with_the_same_numbers(bandit):
    code, out, _ = bandit(*SHORT, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["seeds"] == {"first": 0, "count": 40}
    assert document["settings"]["samples"] == 4
    arm = document["arms"]["grpo, no clip"]
    assert arm["settings"]["clip_low"] is None
    assert sum(arm["counts"]) == 40
    assert arm["paths"]["mean"][-1] == pytest.approx(arm["mean"])
    assert document["exact"]["steps"] == 3
    assert set(document["exact"]["arms"]) == set(document["arms"])
    assert [one["reachable"] for one in document["bands"]] == [False, True]
    assert f"{arm['median']:.3f}" in bandit(*SHORT)[1]


def test_one_seed_alone_is_the_seed_among_others(bandit):
    only = ["--samples=2", "--steps=5", "--estimator=rloo", "--json"]
    ends = [
        json.loads(bandit(*only, f"--first-seed={first}", f"--seeds={n}")[1])["arms"]["rloo"]["mean"]
        for first, n in ((3, 1), (4, 1), (3, 2))
    ]
    assert (ends[0] + ends[1]) / 2 == pytest.approx(ends[2])


def test_none_is_no_bound(bandit):
    code, out, _ = bandit(*SHORT, "--clip-low=none", "--clip-high=none", "--estimator=grpo")
    assert code == 0
    assert "grpo, no clip" in out
    assert "grpo, clip" not in out


def test_where_nothing_can_be_enumerated_it_says_so(bandit):
    code, out, _ = bandit("--samples=40", "--split", "--seeds=2", "--steps=2")
    assert code == 0
    assert "too many outcomes" in out


def test_tables_are_written(bandit, tmp_path):
    code, _, _ = bandit(*SHORT, "--out", tmp_path / "deep" / "er")
    assert code == 0
    histogram = (tmp_path / "deep/er/bandit-histogram.csv").read_text().splitlines()
    assert histogram[0] == "arm,from,to,seeds"
    assert sum(int(line.rsplit(",", 1)[1]) for line in histogram[1:] if line.startswith("reinforce,")) == 40
    paths = (tmp_path / "deep/er/bandit-paths.csv").read_text().splitlines()
    assert paths[0] == "arm,step,mean,median"
    assert paths[1].startswith("reinforce,0,0.7")


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("p0", ["--p0=0"]),
        ("p0", ["--p0=1.2"]),
        ("seeds", ["--seeds=0"]),
        ("first_seed", ["--first-seed=-1"]),
        ("steps", ["--steps=0"]),
        ("samples", ["--samples=0"]),
        ("samples", ["--samples=1", "--estimator=grpo_group"]),
        ("updates", ["--updates=0"]),
        ("samples", ["--samples=5", "--updates=2", "--split"]),
        ("lr", ["--lr=0"]),
        ("gamma", ["--gamma=-1"]),
        ("clip_low", ["--clip-low=2"]),
        ("clip-high", ["--clip-high=much"]),
        ("small_clip", ["--small-clip=0.2"]),
        ("estimator", ["--estimator=adam"]),
        ("format", ["--format=svg"]),
        ("format", ["--format=gif", "--out=figures"]),
    ],
)
def test_bad_input_is_named(bandit, field, arguments):
    code, out, err = bandit(*arguments)
    assert (code, out) == (2, "")
    assert field in err


def test_it_needs_no_torch():
    check = (
        "import sys, spurious.cli.bandit as b; b.bandit(seeds=2, steps=2, samples=2); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True, stdout=subprocess.DEVNULL)
