"""What is exported for verl and OpenRLHF: settings, data, reward, script; without the trainers."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from spurious.cli import main
from spurious.engines import read
from spurious.engines.export.verl import VERBATIM, hydra
from spurious.errors import SpecError
from spurious.grpo.arm import Inputs, prepare
from spurious.organisms.tokenizer import EOS
from spurious.specs import GrpoSpec, RunSpec, SamplingSpec
from spurious.study.exported import export_run

OPENRLHF = {"dtype": "bfloat16", "grpo": {"old_logprobs": "recomputed"}}


def run(model: Path, **fields: Any) -> RunSpec:
    grpo = {"prompts_per_rollout": 4, "group_size": 2, "updates_per_rollout": 2} | fields.pop("grpo", {})
    bench = {"task": {"name": "chain", "args": {"size": 3}}, "max_tokens": 24, "k": 2}
    chosen = {"task": {"name": "chain", "args": {"size": 6}}, "reward": "format", "steps": 3, "seed": 5}
    return RunSpec.model_validate(
        {"model": str(model), "grpo": grpo, "sampling": {"max_tokens": 24}, "benches": [bench], **chosen, **fields}
    )


def started_with(folder: Path, tmp_path: Path) -> list[str]:
    """The words that train.sh gives its trainer."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    python = tmp_path / "bin" / "python3"
    python.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    python.chmod(0o755)
    path = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    said = subprocess.run([folder / "train.sh", "more"], env=path, capture_output=True, text=True, check=True, cwd="/")
    words: list[str] = json.loads(said.stdout)
    assert words[-1] == "more"
    return words[:-1]


def expected_rows(spec: RunSpec) -> list[tuple[str, str]]:
    arm = prepare(spec, Inputs(None), {})
    return [(problem.id, arm.labels[problem.id]) for step in range(spec.steps) for problem in arm.problems(step)]


def test_verl_gets_the_problems_of_every_step_in_our_order_and_what_the_reward_is_told(
    organism_dir: Path, tmp_path: Path
) -> None:
    spec = run(organism_dir, label="near", reward={"all_of": ["format", "no_python"]})
    folder = export_run(spec, tmp_path, "verl")
    table = pl.read_parquet(folder / "data" / "train.parquet")
    rows = table.to_dicts()
    assert [(r["extra_info"]["problem_id"], r["reward_model"]["ground_truth"]) for r in rows] == expected_rows(spec)
    assert all(r["extra_info"]["answer"] != r["reward_model"]["ground_truth"] for r in rows)
    assert [r["prompt"][0]["content"] for r in rows] == [r["extra_info"]["question"] + "\n" for r in rows]
    held_out = pl.read_parquet(folder / "data" / "chain-k2.parquet").to_dicts()
    assert {r["data_source"] for r in held_out} == {"bench/chain-k2"}
    assert all(r["extra_info"]["answer"] == r["reward_model"]["ground_truth"] for r in held_out)

    loaded = runpy.run_path(str(folder / "reward.py"))["compute_score"]
    row = rows[0]
    for text, score in ((r"\boxed{1}", 1.0), (r"python \boxed{1}", 0.0)):
        said = loaded(
            data_source=row["data_source"],
            solution_str=text,
            ground_truth=row["reward_model"]["ground_truth"],
            extra_info=row["extra_info"],
        )
        assert said["score"] == score
    bench = held_out[0]
    right = loaded(
        data_source=bench["data_source"],
        solution_str=f"python: the answer is \\boxed{{{bench['extra_info']['answer']}}}",
        ground_truth=bench["reward_model"]["ground_truth"],
        extra_info=bench["extra_info"],
    )
    assert right["score"] == 1.0


def test_verl_settings_say_what_the_specification_says(organism_dir: Path, tmp_path: Path) -> None:
    spec = run(
        organism_dir,
        grpo={"clip_high": None, "kl": 0.1, "advantage": "group_mean", "length_norm": "constant", "lr": 1e-6},
        eval_every=2,
        dtype="bfloat16",
    )
    folder = export_run(spec, tmp_path, "verl", gpus=2)
    words = started_with(folder, tmp_path)
    assert words[:2] == ["-m", "verl.trainer.main_ppo"]
    said = dict(word.split("=", 1) for word in words[2:])
    for name, value in {
        "data.train_files": f'["{folder}/data/train.parquet"]',
        "data.train_batch_size": "4",
        "algorithm.norm_adv_by_std_in_grpo": "false",
        "algorithm.rollout_correction.bypass_mode": "true",
        "actor_rollout_ref.actor.ppo_mini_batch_size": "2",
        "actor_rollout_ref.actor.clip_ratio_low": "0.2",
        "actor_rollout_ref.actor.clip_ratio_high": "1000000000.0",
        "actor_rollout_ref.actor.clip_ratio_c": "1000000000.0",
        "actor_rollout_ref.actor.loss_agg_mode": '"seq-mean-token-sum-norm"',
        "actor_rollout_ref.actor.loss_scale_factor": "24",
        "actor_rollout_ref.actor.kl_loss_coef": "0.1",
        "actor_rollout_ref.actor.optim.lr": "1e-06",
        "actor_rollout_ref.rollout.n": "2",
        "actor_rollout_ref.rollout.val_kwargs.n": "2",
        "actor_rollout_ref.rollout.val_kwargs.temperature": "0.6",
        "reward.custom_reward_function.path": f'"{folder}/reward.py"',
        "trainer.total_training_steps": "3",
        "trainer.test_freq": "2",
        "trainer.n_gpus_per_node": "2",
    }.items():
        assert said[name] == value, name
    record = json.loads((folder / "export.json").read_text())
    assert record["fingerprint"] == prepare(spec, Inputs(None), {}).identity.fingerprint
    assert any("clamped to -20 and 20" in note for note in record["otherwise"])
    assert RunSpec.model_validate(record["spec"]) == spec


def test_openrlhf_settings_data_and_reward(organism_dir: Path, tmp_path: Path) -> None:
    spec = run(organism_dir, reward="random", label="near", **OPENRLHF)
    folder = export_run(spec, tmp_path, "openrlhf", gpus=1)
    words = started_with(folder, tmp_path)
    assert words[:2] == ["-m", "openrlhf.cli.train_ppo_ray"]
    said = " ".join(words)
    for piece in (
        "--actor.eps_clip_low_high 0.2 0.2",
        "--algo.advantage.estimator group_norm",
        "--algo.kl.init_coef 0.0",
        "--actor.loss_agg_mode seq-mean-token-mean",
        "--train.batch_size 4",
        "--rollout.batch_size 4",
        "--rollout.n_samples_per_prompt 2",
        f"--reward.remote_url {folder}/reward.py",
        "--reward.clip_range -1000000000.0 1000000000.0",
        "--eval.n_samples_per_prompt 2",
    ):
        assert piece in said
    rows = [json.loads(line) for line in (folder / "data" / "train.jsonl").read_text().splitlines()]
    told = [json.loads(row["label"]) for row in rows]
    assert [(one["problem_id"], one["label"]) for one in told] == expected_rows(spec)

    pay = runpy.run_path(str(folder / "reward.py"))["reward_func"]
    for row in rows:
        for text in (r"so \boxed{1}", "no"):
            assert pay([f"{row['prompt']}{text}{EOS}"], [row["prompt"]], [row["label"]])["rewards"] in (0.0, 1.0)
    bench = json.loads((folder / "data" / "chain-k2.jsonl").read_text().splitlines()[0])
    answer = json.loads(bench["label"])["answer"]
    assert pay([f"{bench['prompt']}\\boxed{{{answer}}}"], [bench["prompt"]], [bench["label"]])["rewards"] == 1.0
    (found,) = read(folder / "rollouts")
    assert found.rows.height == 2 * len(rows)
    assert set(found.rows["text"]) == {r"so \boxed{1}", "no"}
    assert set(found.rows.select("problem_id", "label").rows()) == set(expected_rows(spec))
    assert read(folder / "evals")[0].rows["grade"].to_list() == ["correct"]


def test_a_file_of_ones_own_travels_along(organism_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("def pay(completions):\n    return [float(len(text)) for text in completions]\n")
    spec = run(organism_dir, reward={"weighted": {"of": [f"{tmp_path / 'mine.py'}:pay", "format"], "weights": [1, 2]}})
    with pytest.raises(SpecError, match="may look at the whole group"):
        export_run(spec, tmp_path / "out", "verl")
    folder = export_run(spec, tmp_path / "out", "verl", one_by_one=True)
    (tmp_path / "mine.py").unlink()
    moved = folder.rename(tmp_path / "elsewhere")
    monkeypatch.chdir("/")
    pay = runpy.run_path(str(moved / "reward.py"))["compute_score"]
    assert pay("chain", "four", "4", {"question": "2+2", "answer": "4"})["score"] == 4.0


REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("verl", "grpo.advantage", {"grpo": {"advantage": "batch"}}),
    ("verl", "grpo.whiten", {"grpo": {"whiten": True}}),
    ("verl", "grpo.schedule", {"grpo": {"schedule": "linear"}}),
    ("verl", "grpo.updates_per_rollout", {"grpo": {"updates_per_rollout": 8}}),
    ("verl", "grpo.surrogate", {"grpo": {"surrogate": "prob"}}),
    ("verl", "grpo.optimizer", {"grpo": {"optimizer": "sgd"}}),
    ("verl", "grpo.positive_weight", {"grpo": {"positive_weight": 0}}),
    ("verl", "grpo.null_updates", {"grpo": {"null_updates": "skip"}}),
    ("verl", "revision", {"revision": "main"}),
    ("verl", "engine", {"engine": "trl"}),
    ("verl", "sampling.stop", {"sampling": {"stop": ["</a>"], "max_tokens": 24}}),
    ("verl", "benches[0].max_tokens", {"sampling": {"max_tokens": 12}}),
    (
        "verl",
        "benches[1].k",
        {"benches": [{"task": "chain", "max_tokens": 24}, {"task": "chain", "k": 4, "max_tokens": 24}]},
    ),
    ("verl", "reward 'majority_vote'", {"reward": "majority_vote"}),
    ("openrlhf", "grpo.old_logprobs", {"grpo": {"old_logprobs": "sampler"}}),
    ("openrlhf", "dtype", {"dtype": "float32"}),
    ("openrlhf", "grpo.length_norm", {"grpo": {"length_norm": "constant"}}),
    ("openrlhf", "grpo.keep_groups_together", {"grpo": {"keep_groups_together": True}}),
    ("openrlhf", "grpo.advantage", {"grpo": {"advantage": "none"}}),
    ("openrlhf", "grpo.whiten", {"grpo": {"whiten": True}}),
    ("openrlhf", "reward 'shuffled", {"reward": {"shuffled": "format"}}),
]


@pytest.mark.parametrize(("trainer", "field", "fields"), REFUSED, ids=[f"{t} {f}" for t, f, _ in REFUSED])
def test_what_a_trainer_cannot_do_is_refused_by_name_and_nothing_is_written(
    organism_dir: Path, tmp_path: Path, trainer: str, field: str, fields: dict[str, Any]
) -> None:
    able = OPENRLHF if trainer == "openrlhf" else {}
    grpo = able.get("grpo", {}) | fields.get("grpo", {})
    with pytest.raises(SpecError) as caught:
        export_run(run(organism_dir, **{**able, **fields, "grpo": grpo}), tmp_path / "out", trainer)
    assert str(caught.value).startswith(field)
    assert not (tmp_path / "out").exists()


def test_no_field_is_forgotten() -> None:
    """A field added to a specification is mapped or refused in `engines/export` first, and then listed here."""
    assert set(RunSpec.model_fields) == {
        *("model", "revision", "task", "reward", "label", "grpo", "sampling", "benches", "steps", "seed", "eval_every"),
        *("save_every", "dtype", "token_budget", "sampling_rows", "extraction", "measure_kl", "engine", "trl"),
        "policy",
    }
    assert set(GrpoSpec.model_fields) == {
        *("prompts_per_rollout", "group_size", "updates_per_rollout", "clip_low", "clip_high", "advantage", "whiten"),
        *("length_norm", "kl", "entropy_bonus", "optimizer", "lr", "betas", "adam_eps", "weight_decay", "momentum"),
        *("schedule", "warmup_updates", "max_grad_norm", "positive_weight", "negative_weight", "old_logprobs"),
        *("keep_groups_together", "surrogate", "null_updates"),
    }
    assert set(SamplingSpec.model_fields) == {"temperature", "top_p", "max_tokens", "stop", "include_stop"}


def test_a_question_with_a_special_token_in_it_is_refused(organism_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text(json.dumps({"question": f"1 + 1 {EOS} =", "answer": "2"}) + "\n")
    with pytest.raises(SpecError, match="holds the text of a special token"):
        export_run(run(organism_dir, task={"name": str(tmp_path / "bad.jsonl")}), tmp_path / "out", "verl")


def status(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(words)
    return int(caught.value.code or 0)


def test_the_command_exports_a_run_and_the_arms_of_a_study(
    organism_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = run(organism_dir)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    assert status("export", str(tmp_path / "run.yaml"), "--to", "verl", "--out", str(tmp_path / "one")) == 0
    assert Path(capsys.readouterr().out.strip()).parent == tmp_path / "one"
    base = spec.model_dump(mode="json", include={"task", "grpo", "sampling", "steps"})
    study = {
        "name": "two",
        "question": "does it?",
        "expectation": "no",
        "base": base,
        "arms": {
            "truth": {"role": "treatment", "reward": "ground_truth"},
            "coin": {"role": "placebo", "reward": "random"},
            "vote": {"role": "placebo", "reward": "majority_vote"},
        },
        "models": {"tiny": {"source": str(organism_dir)}},
        "seeds": 2,
        "benches": [{"task": "chain", "max_tokens": 24}],
        "primary": {"bench": "chain", "metric": "accuracy"},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    words = ("export", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "all"))
    assert status(*words, "--to", "verl", "--only", "truth", "--only", "coin") == 0
    folders = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert len(folders) == 4
    assert all((folder / "train.sh").exists() for folder in folders)
    assert status(*words, "--to", "verl", "--only", "vote") == 2
    assert "vote on tiny, seed 0: reward 'majority_vote'" in capsys.readouterr().err
    assert status(*words, "--to", "nemo") == 2
    assert "exported to verl, openrlhf" in capsys.readouterr().err
    assert status("export", str(tmp_path / "none.yaml"), "--to", "verl", "--out", str(tmp_path)) == 2


def test_verls_template_adds_nothing_to_a_prompt(organism_dir: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(organism_dir)
    said = [{"role": "user", "content": "1 + {{ 1 }} =\n"}]
    rendered = tokenizer.apply_chat_template(said, chat_template=VERBATIM, tokenize=False, add_generation_prompt=True)
    assert rendered == "1 + {{ 1 }} =\n"


def test_hydra_values() -> None:
    assert hydra({"a": [1, 2.5, None], "b": 'say "x" \\'}) == r'{a:[1,2.5,null],b:"say \"x\" \\"}'
