"""Exports held against the released trainers: verl's Hydra schema, OpenRLHF's argument parser, and their reward loops.

The trainers' pins exclude ours, so they live in an environment of their own, and its interpreter is named by
`SPURIOUS_PEERS_PYTHON`. It needs no GPU and none of their heavy dependencies:

    python -m venv peers
    peers/bin/pip install --no-deps verl==0.9.1 openrlhf==0.11.2
    peers/bin/pip install hydra-core==1.3.8 omegaconf==2.3.1

Where verl's own data loader is asked, it wants torch, transformers, datasets, tensordict and codetiming too.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_export import OPENRLHF, run, started_with

from spurious.engines.export import OPENRLHF_VERSION, VERL_VERSION
from spurious.engines.export.verl import VERBATIM
from spurious.grpo.arm import Inputs, prepare
from spurious.policy import load
from spurious.policy.ask import asker
from spurious.study.exported import export_run

PEERS = os.environ.get("SPURIOUS_PEERS_PYTHON", "")
pytestmark = pytest.mark.skipif(not PEERS, reason="SPURIOUS_PEERS_PYTHON names no environment with verl and OpenRLHF")

COMPOSE = """
import importlib.metadata, importlib.util, json, sys
from pathlib import Path
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
folder = Path(importlib.util.find_spec("verl").submodule_search_locations[0]) / "trainer" / "config"
with initialize_config_dir(str(folder), version_base=None):
    config = compose("ppo_trainer", overrides=json.loads(sys.argv[1]))
print(json.dumps([importlib.metadata.version("verl"), OmegaConf.to_container(config, resolve=False)]))
"""

LOAD = """
import importlib.metadata, importlib.util, json, sys
from pathlib import Path
from hydra import compose, initialize_config_dir
from verl.utils import hf_tokenizer
from verl.trainer.ppo.utils import create_rl_dataset, create_rl_sampler
from verl.utils.tokenizer import normalize_token_ids
folder = Path(importlib.util.find_spec("verl").submodule_search_locations[0]) / "trainer" / "config"
with initialize_config_dir(str(folder), version_base=None):
    config = compose("ppo_trainer", overrides=json.loads(sys.argv[1]))
tokenizer = hf_tokenizer(config.actor_rollout_ref.model.path)
tokenizer.chat_template = config.actor_rollout_ref.model.custom_chat_template
data = create_rl_dataset(config.data.train_files, config.data, tokenizer, None)
rows = [data[i] for i in create_rl_sampler(config.data, data)]
asked = [tokenizer.apply_chat_template(r["raw_prompt"], add_generation_prompt=True, tokenize=True) for r in rows]
print(json.dumps([importlib.metadata.version("verl"), {
    "prompts": [normalize_token_ids(ids) for ids in asked],
    "problems": [r["extra_info"]["problem_id"] for r in rows],
}]))
"""

PARSE = """
import argparse, ast, importlib.metadata, importlib.util, json, os, sys
from datetime import datetime
from pathlib import Path
from types import ModuleType
root = Path(importlib.util.find_spec("openrlhf").submodule_search_locations[0])
config = ModuleType("openrlhf.utils.config")
exec((root / "utils" / "config.py").read_text(), vars(config))
sys.modules["openrlhf.utils"] = ModuleType("openrlhf.utils")
sys.modules["openrlhf.utils.config"] = config
tree = ast.parse((root / "cli" / "train_ppo_ray.py").read_text())
(start,) = [node for node in tree.body if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)]
assert ast.unparse(start.body[-1]) == "train(args)"
sys.argv = ["train_ppo_ray", *json.loads(sys.argv[1])]
seen = {"argparse": argparse, "os": os, "datetime": datetime}
exec(compile(ast.Module(start.body[:-1], []), "train_ppo_ray", "exec"), seen)
plain = lambda x: {k: plain(v) for k, v in vars(x).items()} if hasattr(x, "__dict__") else x
print(json.dumps([importlib.metadata.version("openrlhf"), plain(seen["args"])], default=str))
"""


def ask(script: str, words: list[str]) -> tuple[str, dict[str, Any]]:
    said = subprocess.run([PEERS, "-c", script, json.dumps(words)], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr[-2000:]
    version, config = json.loads(said.stdout.splitlines()[-1])
    return version, config


def at(config: dict[str, Any], name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        value = value[part]
    return value


@pytest.mark.parametrize("benches", [True, False])
def test_verl_takes_every_setting(organism_dir: Path, tmp_path: Path, benches: bool) -> None:
    spec = run(organism_dir, grpo={"clip_low": None, "max_grad_norm": None}, **({} if benches else {"benches": []}))
    words = started_with(export_run(spec, tmp_path, "verl"), tmp_path)
    version, config = ask(COMPOSE, words[2:])
    assert version == VERL_VERSION
    for name, value in {
        "actor_rollout_ref.actor.clip_ratio_low": 1e9,
        "actor_rollout_ref.actor.grad_clip": 1e9,
        "actor_rollout_ref.actor.optim.betas": [0.9, 0.999],
        "actor_rollout_ref.actor.optim.override_optimizer_config": {"eps": 1e-8},
        "actor_rollout_ref.actor.optim.lr": 5e-5,
        "actor_rollout_ref.actor.shuffle": True,
        "actor_rollout_ref.model.custom_chat_template": VERBATIM,
        "actor_rollout_ref.actor.loss_scale_factor": None,
        "reward.reward_manager.name": "naive",
        "trainer.total_training_steps": 3,
        "trainer.val_before_train": benches,
        "trainer.use_v1": True,
    }.items():
        assert at(config, name) == value, name


def test_verl_asks_what_our_own_engine_asks_in_the_same_order(organism_dir: Path, tmp_path: Path) -> None:
    spec = run(organism_dir)
    words = started_with(export_run(spec, tmp_path, "verl"), tmp_path)
    _, loaded = ask(LOAD, words[2:])
    arm = prepare(spec, Inputs(None), {})
    ours = asker(spec.task, arm.task, load(str(organism_dir)))
    steps = [ours.prompts(arm.problems(step)) for step in range(spec.steps)]
    assert loaded["problems"] == [prompt.problem.id for step in steps for prompt in step]
    assert loaded["prompts"] == [list(prompt.token_ids) for step in steps for prompt in step]


def test_openrlhf_takes_every_argument(organism_dir: Path, tmp_path: Path) -> None:
    grpo = {**OPENRLHF["grpo"], "kl": 0.01, "clip_high": None, "warmup_updates": 3, "entropy_bonus": 0.001}
    spec = run(organism_dir, dtype="bfloat16", grpo=grpo)
    words = started_with(export_run(spec, tmp_path, "openrlhf", gpus=2), tmp_path)
    version, args = ask(PARSE, words[2:])
    assert version == OPENRLHF_VERSION
    for name, value in {
        "actor.eps_clip_low_high": [0.2, 1e9],
        "actor.dual_clip": None,
        "actor.adam.betas": [0.9, 0.999],
        "actor.lr_scheduler": "constant_with_warmup",
        "actor.lr_warmup_ratio": 0.5,
        "actor.entropy_coef": 0.001,
        "algo.kl.init_coef": 0.01,
        "algo.kl.use_loss": True,
        "algo.kl.estimator": "k3",
        "algo.advantage.is_correction_level": "off",
        "algo.dynamic_filtering_enable": False,
        "critic.model_name_or_path": None,
        "reward.normalize_enable": False,
        "reward.clip_range": [-1e9, 1e9],
        "train.async_enable": False,
        "vllm.enable_sleep": True,
    }.items():
        assert at(args, name) == value, name
