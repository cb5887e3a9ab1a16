"""Adapters inside the engines they are made for; each test needs its engine installed."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from adapter_cases import LABELS, PROBLEMS, TEXTS, awaited, group

from spurious.engines import read
from spurious.engines.adapters import tinker, trl, verifiers
from spurious.engines.adapters.draws import drawn
from spurious.engines.adapters.told import Told
from spurious.keys import Draw
from spurious.signals import build_reward, pay
from spurious.specs import RewardSpec

pytestmark = pytest.mark.filterwarnings("ignore")  # the engines' own

GROUP = {"weighted": {"of": ["majority_vote", "random", {"shuffled": "no_python"}], "weights": [1.0, 0.5, 0.25]}}
SINGLE = {"weighted": {"of": ["ground_truth", "random"], "weights": [1.0, 0.5]}}


def test_trl_trains_a_step_on_a_group_reward_and_its_table_is_read_back(organism_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="the adapter for TRL is tried in TRL itself: pip install 'spurious[trl]'")
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    prompts = {problem.question + "\n": problem for problem in PROBLEMS}
    rows = [{"prompt": text, **Told(problem, LABELS[problem.id]).row} for text, problem in prompts.items()]
    config = GRPOConfig(
        output_dir=str(tmp_path),
        num_generations=4,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=1,
        max_completion_length=12,
        max_steps=2,
        logging_steps=1,
        log_completions=True,
        use_cpu=True,
        bf16=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        seed=1,
    )
    function = trl.reward_func(GROUP, seed=3, group_size=4)
    GRPOTrainer(str(organism_dir), reward_funcs=function, args=config, train_dataset=Dataset.from_list(rows)).train()

    files = sorted((tmp_path / "completions").glob("*.parquet"))
    built = build_reward(RewardSpec.model_validate(GROUP))
    assert len(files) == 2
    for step, file in enumerate(files):
        table = pl.read_parquet(file)
        for (text,), own in table.group_by("prompt", maintain_order=True):
            problem = prompts[str(text)]
            draw = Draw(3, step, problem.id)
            expected = pay(built, group(problem, tuple(own["completion"])), LABELS[problem.id], draw)
            assert own[function.__name__].to_list() == pytest.approx(expected)
    (found,) = read(tmp_path)
    assert (found.format, found.rows.height) == ("trl", 16)
    assert set(found.rows["problem_id"]) == {problem.id for problem in PROBLEMS}
    assert set(found.rows.filter(problem_id=PROBLEMS[1].id).select("answer", "label").rows()) == {("9", "8")}


def test_verifiers_scores_a_trace_by_a_reward_that_its_config_names(tmp_path: Path) -> None:
    vf = pytest.importorskip("verifiers.v1", reason="needs verifiers 0.4 (pip install verifiers)")
    from verifiers.v1.graph import MessageNode
    from verifiers.v1.trace import AgentInfo, Trace, TraceTask
    from verifiers.v1.types import AssistantMessage, UserMessage

    (tmp_path / "rewards.py").write_text(
        f"from spurious.engines.adapters.verifiers import reward_func\npay = reward_func({SINGLE!r}, seed=3)\n"
    )

    class Data(vf.TaskData):
        answer: str
        label: str
        question: str
        problem_id: str

    config = vf.TaskConfig(rewards={"spurious": {"fn": f"{tmp_path / 'rewards.py'}:pay", "weight": 2.0}})
    built = build_reward(RewardSpec.model_validate(SINGLE))
    for i, problem in enumerate(PROBLEMS):
        fields = Told(problem, LABELS[problem.id]).row
        data = Data(prompt=problem.question, **{name: fields[name] for name in Data.__annotations__})
        for text in TEXTS[i]:
            said = [UserMessage(content=problem.question), AssistantMessage(content=text)]
            nodes = [MessageNode(message=said[0]), MessageNode(message=said[1], parent=0, sampled=True)]
            trace = Trace(task=TraceTask(type="Task", data=data), agent=AgentInfo(config=vf.AgentConfig()), nodes=nodes)
            awaited(vf.Task(data, config).score(trace))
            again = Trace.model_validate(trace.model_dump(mode="json"))
            draw = verifiers.draw_of(again.id, problem.id, 3)
            (expected,) = pay(built, group(problem, (text,)), LABELS[problem.id], draw)
            assert trace.rewards["spurious"].score == expected
            assert trace.reward == 2 * expected


def test_tinker_cookbook_gathers_a_group_and_pays_it(tmp_path: Path) -> None:
    pytest.importorskip("tinker_cookbook", reason="needs tinker-cookbook 0.6 (pip install tinker-cookbook)")
    from tinker import ModelInput
    from tinker_cookbook.completers import TokensWithLogprobs
    from tinker_cookbook.rl.problem_env import ProblemEnv, ProblemGroupBuilder
    from tinker_cookbook.rl.rollouts import do_group_rollout

    class Renderer:
        def get_stop_sequences(self) -> list[str]:
            return ["."]

        def build_generation_prompt(self, conversation: Any) -> Any:
            return ModelInput.from_ints([1])

        def parse_response(self, tokens: list[int]) -> Any:
            text = TEXTS[0][tokens[0]]
            return {"role": "assistant", "content": text}, SimpleNamespace(is_stop_sequence=True, is_clean=True)

    class Env(ProblemEnv):
        def get_question(self) -> str:
            return PROBLEMS[0].question

        def get_reference_answer(self) -> str:
            return PROBLEMS[0].answer

        def check_answer(self, sample_str: str) -> bool:
            return False

        def check_format(self, sample_str: str) -> bool:
            return True

    function = tinker.reward_func("majority_vote", records=tmp_path)

    class Builder(ProblemGroupBuilder):
        async def compute_group_rewards(self, trajectory_group: Any, env_group: Any) -> Any:
            return await function(trajectory_group, env_group)

    class Policy:
        sampled = -1

        async def __call__(self, model_input: Any, stop: Any, **_: Any) -> Any:
            self.sampled += 1
            return TokensWithLogprobs(tokens=[self.sampled], maybe_logprobs=[-1.0])

    builder = Builder(env_thunk=lambda: Env(Renderer()), num_envs=4)
    rolled = awaited(do_group_rollout(builder, Policy()))
    built = build_reward(RewardSpec.model_validate("majority_vote"))
    expected = pay(built, group(PROBLEMS[0], TEXTS[0]), "4", Draw(0, 0, "p"))
    assert sum(expected) == 2
    assert sorted(rolled.get_total_rewards()) == sorted(expected)
    (found,) = read(tmp_path)
    assert found.rows.select("text", "reward").rows() == list(zip(TEXTS[0], expected, strict=True))


def reward_file(tmp_path: Path, text: str) -> Path:
    (tmp_path / "reward.py").write_text(text)
    return tmp_path / "reward.py"


def test_verl_loads_the_file_and_its_manager_scores_a_sample(tmp_path: Path) -> None:
    pytest.importorskip("verl", reason="needs verl 0.9.1 (its pins exclude ours: an environment of its own)")
    import torch
    from omegaconf import OmegaConf
    from verl import DataProto
    from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
    from verl.trainer.ppo.reward import get_custom_reward_fn

    file = reward_file(
        tmp_path, f"from spurious.engines.adapters.verl import reward_func\ncompute_score = reward_func({SINGLE!r})\n"
    )
    custom = {"path": str(file), "name": "compute_score"}
    config = OmegaConf.create({"reward": {"custom_reward_function": custom}})
    built = build_reward(RewardSpec.model_validate(SINGLE))

    class Tokenizer:
        def decode(self, ids: Any, **_: Any) -> str:
            return TEXTS[1][int(ids[0])]

    async def score(sample: int) -> Any:
        manager = NaiveRewardManager(config, Tokenizer(), get_custom_reward_fn(config))
        told = Told(PROBLEMS[1], LABELS[PROBLEMS[1].id]).row
        data = DataProto.from_dict(
            tensors={"responses": torch.tensor([[sample, 0]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)},
            non_tensors={
                "data_source": np.array(["test"], dtype=object),
                "reward_model": np.array([{"ground_truth": told["label"]}], dtype=object),
                "extra_info": np.array([told], dtype=object),
            },
        )
        return await manager.run_single(data)

    for sample, text in enumerate(TEXTS[1]):
        said = awaited(score(sample))
        extra = said["reward_extra_info"]
        draw = drawn(extra["draw"], extra["problem_id"])
        assert (said["reward_score"],) == pay(built, group(PROBLEMS[1], (text,)), "8", draw)
        assert extra["answer"] == "9"


def test_openrlhf_loads_the_file_and_its_executor_fetches_a_reward(tmp_path: Path) -> None:
    agent = pytest.importorskip("openrlhf.utils.agent", reason="needs OpenRLHF 0.11.2 in an environment of its own")
    file = reward_file(
        tmp_path,
        "from pathlib import Path\n"
        "from spurious.engines.adapters.openrlhf import reward_func as make\n"
        f"reward_func = make({SINGLE!r}, records=Path({str(tmp_path / 'rows')!r}), ends=['<eos>'])\n",
    )
    executor = agent.SingleTurnAgentExecutor(str(file))
    label = json.dumps(Told(PROBLEMS[1], "8").row)

    class Engine:
        async def generate(self, prompt_ids: Any, params: Any, **_: Any) -> Any:
            return SimpleNamespace(
                outputs=[SimpleNamespace(token_ids=[7], finish_reason="stop", logprobs=None, text="unused")]
            )

    class Tokenizer:
        def __call__(self, text: str, **_: Any) -> Any:
            import torch

            return {"input_ids": torch.tensor([[1, 2]])}

        def decode(self, ids: Any, **_: Any) -> str:
            return r"Q: \boxed{8}<eos>"

    params = SimpleNamespace(max_tokens=8, logprobs=None)
    said = awaited(executor.execute("Q: ", label, params, 64, Tokenizer(), Engine()))
    (found,) = read(tmp_path / "rows")
    row = json.loads(next((tmp_path / "rows").iterdir()).read_text())
    built = build_reward(RewardSpec.model_validate(SINGLE))
    expected = pay(built, group(PROBLEMS[1], (r"\boxed{8}",)), "8", drawn(row["draw"], row["problem_id"]))
    assert (said["reward"],) == (said["scores"],) == expected
    assert found.rows.select("text", "answer", "label", "grade").row(0) == (r"\boxed{8}", "9", "8", "wrong")
