"""Audits: what is declared, and one run to its verdict."""

import json
import os
import subprocess
import sys

import pytest

from spurious.errors import SpecError
from spurious.specs import BenchSpec, RewardSpec, TaskSpec
from spurious.study.audit import AUDITED, SHUFFLED, declare, look_at, prompting

BASE = {"task": {"chain": {"steps": 1, "size": 16}}, "steps": 2}


def declared(reward="format", **changes):
    fields = {
        "name": "audit",
        "base": BASE,
        "models": {"m": "somewhere"},
        "seeds": range(4),
        "bench": BenchSpec(task=TaskSpec(name="chain", args={"steps": 1, "size": 4})),
    }
    return declare(RewardSpec.model_validate(reward), **{**fields, **changes})


def test_an_audit_is_decided_against_the_reward_s_own_values_shuffled():
    study = declared({"random": {"gamma": 0.3}})
    assert study.pairs == ((AUDITED, SHUFFLED),)
    shuffled = study.arms[SHUFFLED].reward
    assert shuffled.of == (study.arms[AUDITED].reward,)
    assert {name for name, arm in study.arms.items() if arm.role == "placebo"} == {
        *(SHUFFLED, "same rate", "format", "constant")
    }


def test_prompts_are_tried_on_the_bench_without_a_step():
    study = prompting(declared(), ["", "Let me see: "])
    assert [bench.task.prefix for bench in study.benches] == ["", "Let me see: "]
    assert study.base["steps"] == 0
    assert study.seeds == (0,)
    assert study.name != declared().name


@pytest.mark.parametrize(
    ("seeds", "looks"), [(10, (4, 6, 8, 10)), (5, (3, 4, 5)), (3, (3,)), (20, (8, 12, 16, 20)), (2, (2,)), (1, (1,))]
)
def test_looks_are_spread_over_the_seeds(seeds, looks):
    assert look_at(seeds) == looks


def test_a_wrong_base_is_refused_by_name():
    with pytest.raises(SpecError, match=r"audit: .*base\.grpo\.group_size"):
        declared(base={**BASE, "grpo": {"group_size": 1}})


REWARD = "def short(completions):\n    return [float(len(text) < 12) for text in completions]\n"


def audit(store, *arguments):
    command = [sys.executable, "-m", "spurious", "audit", "--out", str(store), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=900, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


@pytest.mark.slow
def test_an_audit_ends_with_a_word_and_its_reasons(organism_dirs, tmp_path):
    (tmp_path / "short.py").write_text(REWARD)
    arguments = [
        *("--reward", f"{tmp_path}/short.py:short", "--model", organism_dirs["qwen2"], organism_dirs["llama"]),
        *("--task.args.steps", 1, "--task.args.size", 16, "--seeds", 3, "--steps", 2, "--sampling.max-tokens", 8),
        *("--grpo.prompts-per-rollout", 2, "--grpo.group-size", 4, "--grpo.updates-per-rollout", 1, "--name", "short"),
    ]
    done = audit(tmp_path / "store", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["verdict"] == "underpowered"  # random weights answer nothing, and no truth was learned to go by
    assert [len(model["by_seed"]) for model in document["models"]] == [3, 3]
    assert {flag["name"]: flag["raised"] for flag in document["flags"]}["paid for form alone"] is None
    assert set(document["levels"]["qwen2"]) == {*("audited", "shuffled", "same rate", "format", "constant", "base")} | {
        "ground truth"
    }

    folder = tmp_path / "store" / "studies" / "short"
    assert json.loads((folder / "audit.json").read_text()) == document
    runs = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").glob("*/DONE")}
    again = audit(tmp_path / "store", *arguments)  # nothing is owed any more
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("Underpowered: 3 seeds cannot decide")
    assert runs == {path: path.stat().st_mtime_ns for path in (tmp_path / "store").glob("*/DONE")}

    reported = subprocess.run(
        [sys.executable, "-m", "spurious", "report", str(folder)], capture_output=True, text=True, check=True
    )
    page = (folder / "report.html").read_text()
    assert reported.stdout.strip() == str(folder / "report.html")
    assert 'Verdict: <span class="word">underpowered</span>' in page
    assert "constant on most groups" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reward", "nothing"], "unknown reward 'nothing'"),
        (["--reward", "format", "--seeds", "0"], "--seeds: 0"),
        (["--reward", "format", "--model", "a/m", "b/m"], "two are called 'm'"),
        (["--reward", "format", "--model", "nowhere", "--task", "nothing"], "nothing"),
        (["--reward", "gone.py:reward"], "gone.py"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_run(arguments, said, tmp_path):
    done = audit(tmp_path / "store", *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert not list(tmp_path.glob("store/*--*"))
