"""The command as a user meets it: exit status, output, messages."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
import yaml
from safetensors.torch import save_file

from spurious.cli import main

FAST = [
    "--task.args.steps=1",
    "--task.args.size=16",
    "--sampling.max-tokens=12",
    "--grpo.prompts-per-rollout=4",
    "--grpo.group-size=4",
    "--grpo.updates-per-rollout=2",
]


@pytest.fixture
def run(capsys):
    """Call the command in this process; `out`, `err` and the exit `code` as a shell would see them."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return SimpleNamespace(out=captured.out, err=captured.err, code=exit.value.code)

    return call


def run_alone(*arguments):
    command = [sys.executable, "-m", "spurious", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def train(model, out, *more):
    return ["train", "--model", model, "--task", "chain", "--steps", "6", "--out", out, *FAST, *more]


def assert_refused(result, *words):
    """Exit status 2, one message, and it names what is wrong."""
    assert result.code == 2, result.err
    assert result.out == ""
    for word in words:
        assert word in result.err.replace("\n", " "), result.err


@pytest.mark.parametrize(
    "code",
    [
        "import spurious",
        "import spurious.cli",
        "import spurious.verify, spurious.signals, spurious.tasks, spurious.store",
    ],
)
def test_the_light_rooms_do_not_import_torch(code):
    check = f"{code}; import sys; assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_help_does_not_import_torch():
    script = (
        "import sys\nfrom spurious.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for command in ("train", "eval", "label", "organism", "check-data", "demo", "study"):
        assert command in result.stdout


@pytest.mark.slow
def test_kill_9_and_the_same_command_again_give_the_same_bytes(organism_dir, tmp_path):
    done = run_alone(*train(organism_dir, tmp_path / "whole", "--reward=random"))
    assert done.returncode == 0, done.stderr

    process = subprocess.Popen(
        [sys.executable, "-m", "spurious", *map(str, train(organism_dir, tmp_path / "killed", "--reward=random"))],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    log = tmp_path / "killed" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") >= 4):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "DONE").exists()

    again = run_alone(*train(organism_dir, tmp_path / "killed", "--reward=random"))
    assert again.returncode == 0, again.stderr
    attempts = json.loads((tmp_path / "killed" / "manifest.json").read_text())["attempts"]
    assert attempts[-1]["start_step"] >= 2
    for path in (tmp_path / "whole").rglob("*"):
        name = path.relative_to(tmp_path / "whole")
        if path.is_file() and name.parts[0] in ("checkpoints", "rollouts", "evals"):
            assert path.read_bytes() == (tmp_path / "killed" / name).read_bytes(), name
    one, other = (
        [
            {k: v for k, v in json.loads(line).items() if not k.startswith("seconds/")}
            for line in (tmp_path / which / "metrics.jsonl").read_text().splitlines()
        ]
        for which in ("whole", "killed")
    )
    assert one == other


def test_an_unknown_flag_is_named(run, organism_dir, tmp_path):
    assert_refused(run(*train(organism_dir, tmp_path / "r", "--reward=random", "--grpo.clip-hihg=1")), "clip-hihg")


def test_a_value_out_of_range_is_named(run, organism_dir, tmp_path):
    assert_refused(run(*train(organism_dir, tmp_path / "r", "--reward=random", "--grpo.clip-low=1.5")), "clip_low")


def test_an_unknown_reward_is_named_with_those_that_exist(run, organism_dir, tmp_path):
    assert_refused(run(*train(organism_dir, tmp_path / "r", "--reward=randon")), "randon", "ground_truth")


def test_an_unknown_field_of_a_reward_is_named(run, organism_dir, tmp_path):
    result = run(*train(organism_dir, tmp_path / "r", "--reward=random", "--reward.args.gama=1"))
    assert_refused(result, "gama")


def test_a_missing_model_is_named(run, tmp_path):
    assert_refused(run(*train("./no-model-here", tmp_path / "r", "--reward=random")), "no-model-here")


def test_a_broken_checkpoint_is_named(run, organism_dir, tmp_path):
    for path in organism_dir.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert_refused(run(*train(tmp_path, tmp_path / "r", "--reward=random")), "model.safetensors")


def test_weights_of_another_model_are_refused(run, organism_dir, tmp_path):
    for path in organism_dir.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    save_file({"stranger": torch.zeros(3)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert_refused(run("eval", tmp_path, "--bench=chain", "--limit=2"), "lack")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def pay(completions, **_)\n    return [1.0]\n", ["mine.py:1"]),
        ("def pay(completions, **_):\n    return [float('nan') for _ in completions]\n", ["pay", "nan"]),
        ("def pay(completions, **_):\n    return [1.0]\n", ["pay", "1 values for 4"]),
        ("import no_such_module\n", ["mine.py", "no_such_module"]),
        ("x = 1\n", ["mine.py", "pay"]),
    ],
)
def test_a_bad_reward_file_is_named(run, organism_dir, tmp_path, source, words):
    (tmp_path / "mine.py").write_text(source)
    result = run(*train(organism_dir, tmp_path / "r", f"--reward={tmp_path / 'mine.py'}:pay"))
    assert_refused(result, *words)


def test_ambient_randomness_is_warned_about(run, organism_dir, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import random\n\ndef pay(completions, **_):\n    return [random.random() for _ in completions]\n"
    )
    result = run(*train(organism_dir, tmp_path / "r", f"--reward={tmp_path / 'mine.py'}:pay"))
    assert result.code == 0, result.err
    assert result.err.count("not reproducible") == 1


def test_a_missing_column_is_named(run, organism_dir, tmp_path):
    (tmp_path / "data.jsonl").write_text('{"question": "1+1?", "solution_text": "2"}\n')
    command = ["train", "--model", organism_dir, "--task", tmp_path / "data.jsonl", "--reward=random", "--steps=1"]
    assert_refused(run(*command, "--out", tmp_path / "r"), "data.jsonl", "answer")


def test_an_unparsable_gold_is_named_with_its_row(run, organism_dir, tmp_path):
    (tmp_path / "data.jsonl").write_text(
        '{"question": "1+1?", "answer": "2"}\n{"question": "x?", "answer": "\\\\frac{1}{"}\n'
    )
    command = ["eval", organism_dir, "--bench", tmp_path / "data.jsonl"]
    assert_refused(run(*command), "data.jsonl", "2", "frac{1}{")


def test_eval_as_json_is_one_document(run, organism_dir, tmp_path):
    command = [
        "eval",
        organism_dir,
        "--bench=chain",
        "--limit=6",
        "--k=2",
        "--max-tokens=8",
        "--json",
        "--out",
        tmp_path,
    ]
    result = run(*command)
    assert result.code == 0, result.err
    document = json.loads(result.out)
    scores = document["benches"]["chain-k2"]["scores"]
    assert scores["n_problems"] == 6
    assert 0 <= scores["accuracy"] <= 1
    assert sum(value for name, value in scores.items() if name.startswith("grade/")) == pytest.approx(1)
    assert (tmp_path / "chain-k2.parquet").exists()
    again = run(*command)
    assert json.loads(again.out)["benches"] == document["benches"]


def test_labels_feed_the_majority_arm(run, organism_dir, tmp_path):
    votes = tmp_path / "votes.parquet"
    problems = ["--task=chain", "--task.args.steps=1", "--task.args.size=16"]
    labeled = run("label", organism_dir, *problems, "--votes=4", "--max-tokens=12", "--out", votes, "--json")
    assert labeled.code == 0, labeled.err
    report = json.loads(labeled.out)
    assert report["problems"] == 16
    result = run(
        *train(organism_dir, tmp_path / "r", "--reward=ground_truth", "--label=majority", f"--label.args.votes={votes}")
    )
    if report["labeled"]:
        assert result.code == 0, result.err
    else:
        assert_refused(result, "majority")


def test_check_data_reports_row_by_row(run, tmp_path):
    (tmp_path / "data.jsonl").write_text(
        '{"question": "1+1?", "answer": "2"}\n{"question": "1+1?", "answer": "3"}\n{"question": "2+2?", "answer": ""}\n'
    )
    result = run("check-data", tmp_path / "data.jsonl", "--json")
    findings = json.loads(result.out)["findings"]
    assert {finding["kind"] for finding in findings} >= {"contradiction", "unusable"}


def test_an_organism_is_built_once(run, tmp_path):
    from importlib.resources import files

    recipe = yaml.safe_load(files("spurious.organisms").joinpath("recipes/good-code.yaml").read_text())
    recipe |= {"name": "brief", "training": {**recipe["training"], "updates": 4, "batch": 8, "warmup": 1}}
    (tmp_path / "brief.yaml").write_text(yaml.safe_dump(recipe))
    for _ in range(2):
        result = run("organism", "build", tmp_path / "brief.yaml", "--out", tmp_path / "brief")
        assert result.code == 0, result.err
        assert result.out.strip() == str(tmp_path / "brief")
    assert run("eval", tmp_path / "brief", "--bench=chain", "--limit=3", "--max-tokens=4").code == 0
    (tmp_path / "brief.yaml").write_text(yaml.safe_dump(recipe | {"sed": 1}))
    assert_refused(run("organism", "build", tmp_path / "brief.yaml", "--out", tmp_path / "other"), "brief.yaml", "sed")
