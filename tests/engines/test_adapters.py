"""Every reward through every adapter, called as its engine calls it; the engines themselves are not needed."""

import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from adapter_cases import (
    LABELS,
    ONE_BY_ONE,
    PER_TOKEN,
    PROBLEMS,
    REWARD_SPECS,
    TEXTS,
    USER_FILE,
    WHOLE_GROUP,
    awaited,
    group,
)

from spurious.engines import read
from spurious.engines.adapters import openrlhf, tinker, trl, verifiers, verl
from spurious.engines.adapters.draws import Fresh, drawn, mark
from spurious.engines.adapters.told import Told
from spurious.errors import DataError, RewardError, SpecError
from spurious.keys import Draw
from spurious.signals import build_reward, pay
from spurious.specs import RewardSpec

NAMES = [str(spec) if isinstance(spec, str) else json.dumps(spec) for spec in ONE_BY_ONE]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(USER_FILE)
    return tmp_path


def ours(reward: Any, i: int, draw: Draw, base: Path | None = None) -> tuple[float, ...]:
    """What our own engine pays the i-th group."""
    built = build_reward(RewardSpec.model_validate(reward), base)
    return pay(built, group(PROBLEMS[i], TEXTS[i]), LABELS[PROBLEMS[i].id], draw)


def trl_batch(size: int = 4, order: tuple[int, ...] = (0, 1)) -> dict[str, Any]:
    """What TRL 1.16 passes: columns repeated for each completion."""
    rows = [(PROBLEMS[i], text) for i in order for text in TEXTS[i][:size]]
    told = [Told(problem, LABELS[problem.id]).row for problem, _ in rows]
    return {
        "prompts": [[{"role": "user", "content": problem.question}] for problem, _ in rows],
        "completions": [[{"role": "assistant", "content": text}] for _, text in rows],
        "completion_ids": [[1]] * len(rows),
        "trainer_state": SimpleNamespace(global_step=7),
        **{name: [row[name] for row in told] for name in told[0]},
    }


@pytest.mark.parametrize("spec", REWARD_SPECS, ids=str)
def test_trl_is_paid_to_the_last_draw_what_our_engine_pays(spec: RewardSpec) -> None:
    paid = trl.reward_func(spec, seed=3)(**trl_batch())
    expected = [value for i in (0, 1) for value in ours(spec, i, Draw(3, 7, PROBLEMS[i].id))]
    assert paid == expected


def test_trl_copies_of_a_problem_and_processes_draw_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def paid(order: tuple[int, ...], rank: str = "0") -> list[float]:
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "2")
        return trl.reward_func({"random": {"gamma": 0.5}}, seed=3)(**trl_batch(order=order))

    coins = {copy: list(ours("random", 0, Draw(3, 7, PROBLEMS[0].id, copy))) for copy in range(4)}
    assert paid((0, 1, 0))[:4] == coins[0]
    assert paid((0, 1, 0))[8:] == coins[2]
    assert paid((0, 1, 0), rank="1")[:4] == coins[1]
    assert paid((0, 1, 0), rank="1")[8:] == coins[3]


def test_trl_plain_prompts_and_an_answer_are_enough() -> None:
    function = trl.reward_func("ground_truth", columns={"answer": "solution"})
    batch = {
        "prompts": ["2 + 2 ="] * 2,
        "completions": [r"\boxed{4}", r"\boxed{5}"],
        "completion_ids": [[1], [1]],
        "trainer_state": SimpleNamespace(global_step=0),
        "solution": ["two and two\n#### 4"] * 2,
    }
    assert function(**batch) == [1.0, 0.0]
    assert function.__name__ == "ground_truth"
    with pytest.raises(DataError, match=r"no column 'answer'.*solution"):
        trl.reward_func("ground_truth")(**batch)


def test_trl_groups_are_told_or_counted_and_never_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    ragged = {name: value[:6] if isinstance(value, list) else value for name, value in trl_batch().items()}
    with pytest.raises(RewardError, match="4, 2 equal prompts in a row: no one group size"):
        trl.reward_func("majority_vote")(**ragged)
    with pytest.raises(RewardError, match="4, 2 equal prompts in a row: a group is split"):
        trl.reward_func("majority_vote", group_size=4)(**ragged)
    assert len(trl.reward_func("ground_truth")(**ragged)) == 6
    two_copies = trl_batch(order=(1, 1))
    halves = trl.reward_func("majority_vote", group_size=4)(**two_copies)
    assert halves == list(ours("majority_vote", 1, Draw(0, 7, "x"))) * 2
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SpecError, match="2 processes may each hold a part of it: give group_size"):
        trl.reward_func("majority_vote")


def test_trl_without_a_step_pays_nothing() -> None:
    with pytest.raises(RewardError, match="trainer_state"):
        trl.reward_func("random")(**{**trl_batch(), "trainer_state": None})


def test_trl_logs_what_a_reader_needs() -> None:
    logged: dict[str, list[str]] = {}
    trl.reward_func("random")(**trl_batch(), log_extra=logged.__setitem__)
    assert logged["answer"] == ["4"] * 4 + ["9"] * 4
    assert logged["label"] == ["4"] * 4 + ["8"] * 4
    assert logged["problem_id"][::4] == [problem.id for problem in PROBLEMS]


def verl_pays(function: Any, i: int, sample: int) -> dict[str, Any]:
    """As verl 0.9.1's `NaiveRewardManager.run_single` calls it."""
    row = Told(PROBLEMS[i], LABELS[PROBLEMS[i].id]).row
    said: dict[str, Any] = function(
        data_source="test",
        solution_str=TEXTS[i][sample],
        ground_truth=row["label"],
        extra_info={**row, "num_turns": None, "rollout_reward_scores": {}},
    )
    return said


@pytest.mark.parametrize("reward", ONE_BY_ONE, ids=NAMES)
def test_verl_and_openrlhf_pay_what_our_engine_pays_for_the_draw_they_mark(reward: Any, tmp_path: Path) -> None:
    compute_score = verl.reward_func(reward, seed=3)
    rlhf = openrlhf.reward_func(reward, seed=3, records=tmp_path, ends=["<eos>"])
    draws = build_reward(RewardSpec.model_validate(reward)).draws
    for i, problem in enumerate(PROBLEMS):
        label = json.dumps(Told(problem, LABELS[problem.id]).row)
        for sample, text in enumerate(TEXTS[i]):
            said = verl_pays(compute_score, i, sample)
            prompt = f"user: {problem.question}\n"
            answered = rlhf([f"{prompt}{text}<eos>"], [prompt], [label])
            row = json.loads(next(tmp_path.iterdir()).read_text().splitlines()[-1])
            assert row["text"] == text
            assert row["reward"] == answered["rewards"] == answered["scores"]
            for told, paid in ((said, said["score"]), (row, row["reward"])):
                assert (told["answer"], told["label"]) == (problem.answer, LABELS[problem.id])
                assert ("draw" in told) == draws
                draw = drawn(told["draw"], told["problem_id"]) if draws else Draw(0, 0, "")
                built = build_reward(RewardSpec.model_validate(reward))
                assert pay(built, group(problem, (text,)), told["label"], draw) == (paid,)


def test_no_two_calls_draw_alike_and_a_mark_gives_the_draw_back() -> None:
    noise = Fresh(5)
    first, second = noise.draw("p"), noise.draw("p")
    other = pickle.loads(pickle.dumps(noise)).draw("p")
    assert len({one.uniforms(1)[0] for one in (first, second, other)}) == 3
    assert drawn(mark(first), "p") == first
    with pytest.raises(DataError, match="no mark"):
        drawn("what", "p")


def test_openrlhf_takes_a_plain_answer_and_refuses_what_it_cannot_cut(tmp_path: Path) -> None:
    function = openrlhf.reward_func("ground_truth", records=tmp_path)
    assert function([r"2 + 2 = \boxed{4}"], ["2 + 2 ="], ["4"])["rewards"] == 1.0
    with pytest.raises(RewardError, match="does not begin with the prompt"):
        function(["else"], ["2 + 2 ="], ["4"])
    with pytest.raises(RewardError, match="a call with 2"):
        function(["a", "b"], ["a", "b"], ["4", "4"])
    (rows,) = read(tmp_path)
    assert rows.rows.select("text", "answer", "grade", "reward").row(0) == (r" \boxed{4}", "4", "correct", 1.0)


def trace(i: int, sample: int, logprobs: tuple[float, ...] = ()) -> SimpleNamespace:
    nodes = [SimpleNamespace(sampled=False, logprobs=[]), SimpleNamespace(sampled=True, logprobs=list(logprobs))]
    return SimpleNamespace(id=f"trace{i}{sample}", last_reply=TEXTS[i][sample], nodes=nodes)


@pytest.mark.parametrize("reward", ONE_BY_ONE, ids=NAMES)
def test_verifiers_pays_what_our_engine_pays_for_the_draw_of_the_trace(reward: Any) -> None:
    function = verifiers.reward_func(reward, seed=3)
    for i, problem in enumerate(PROBLEMS):
        task = SimpleNamespace(prompt_text=problem.question, **Told(problem, LABELS[problem.id]).row)
        for sample, text in enumerate(TEXTS[i]):
            paid = awaited(function(task=task, trace=trace(i, sample)))
            draw = verifiers.draw_of(f"trace{i}{sample}", problem.id, 3)
            built = build_reward(RewardSpec.model_validate(reward))
            assert pay(built, group(problem, (text,)), LABELS[problem.id], draw) == (paid,)


class TinkerEnv:
    """As much of a ProblemEnv as the adapter reads."""

    def __init__(self, i: int) -> None:
        self.i, self.told = i, Told(PROBLEMS[i], LABELS[PROBLEMS[i].id]).row
        self.renderer = self

    def get_question(self) -> str:
        return PROBLEMS[self.i].question

    def get_reference_answer(self) -> str:
        return PROBLEMS[self.i].answer

    def parse_response(self, tokens: list[int]) -> tuple[dict[str, Any], None]:
        return {"role": "assistant", "content": [{"type": "text", "text": TEXTS[self.i][tokens[0]]}]}, None


def trajectory(sample: int) -> SimpleNamespace:
    action = SimpleNamespace(tokens=[sample, 0], maybe_logprobs=[-1.0 - sample, -1.0])
    return SimpleNamespace(transitions=[SimpleNamespace(ac=action)])


@pytest.mark.parametrize("spec", REWARD_SPECS, ids=str)
def test_tinker_groups_are_paid_whole(spec: RewardSpec, tmp_path: Path) -> None:
    function = tinker.reward_func(spec, seed=3, records=tmp_path)
    for i in (0, 1):
        paid = awaited(function([trajectory(sample) for sample in range(4)], [TinkerEnv(i) for _ in range(4)]))
        rows = [json.loads(line) for line in next(tmp_path.iterdir()).read_text().splitlines()][-4:]
        draw = drawn(rows[0]["draw"], PROBLEMS[i].id) if "draw" in rows[0] else Draw(0, 0, "")
        assert tuple(score for score, _ in paid) == tuple(row["reward"] for row in rows) == ours(spec, i, draw)
        assert [row["text"] for row in rows] == list(TEXTS[i])


def test_a_reward_of_ones_own_goes_along(mine: Path, tmp_path: Path) -> None:
    spec = {"name": "mine.py:pay", "args": {"bonus": 0.5}}
    assert trl.reward_func(spec, seed=3, base=mine)(**trl_batch())[:4] == list(
        ours(spec, 0, Draw(3, 7, PROBLEMS[0].id), mine)
    )
    with pytest.raises(SpecError, match=r"'mine.py:pay' may look at the whole group.*one_by_one=True"):
        verl.reward_func(spec, base=mine)
    said = verl_pays(verl.reward_func(spec, base=mine, one_by_one=True), 0, 0)
    (coin,) = drawn(said["draw"], PROBLEMS[0].id).uniforms(1)
    assert said["score"] == 1.0 + 0.5 + coin
    confident = awaited(
        verifiers.reward_func("mine.py:confident", base=mine, one_by_one=True)(
            task=SimpleNamespace(prompt_text="?", answer="4"), trace=trace(0, 0, (-1.0, -2.0))
        )
    )
    assert confident == -1.5
    with pytest.raises(RewardError, match="the trace has none"):
        awaited(
            verifiers.reward_func("mine.py:confident", base=mine, one_by_one=True)(
                task=SimpleNamespace(prompt_text="?", answer="4"), trace=trace(0, 0)
            )
        )
    paid = awaited(
        tinker.reward_func("mine.py:confident", base=mine, records=tmp_path / "rows")(
            [trajectory(1), trajectory(2)], [TinkerEnv(0), TinkerEnv(0)]
        )
    )
    assert [score for score, _ in paid] == [-1.5, -2.0]


def makers(tmp_path: Path) -> dict[str, Any]:
    return {
        "verl": verl.reward_func,
        "OpenRLHF": lambda reward, **more: openrlhf.reward_func(reward, records=tmp_path, **more),
        "verifiers": verifiers.reward_func,
        "TRL": lambda reward, one_by_one=False: trl.reward_func(reward),
        "tinker": lambda reward, one_by_one=False: tinker.reward_func(reward, records=tmp_path),
    }


@pytest.mark.parametrize("engine", ["verl", "OpenRLHF", "verifiers"])
@pytest.mark.parametrize("reward", WHOLE_GROUP, ids=str)
def test_a_group_reward_is_refused_where_no_group_is_shown(engine: str, reward: Any, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=f"pays by the whole group, and {engine} shows a reward one"):
        makers(tmp_path)[engine](reward, one_by_one=True)


@pytest.mark.parametrize("engine", ["verl", "OpenRLHF", "verifiers", "TRL", "tinker"])
@pytest.mark.parametrize("reward", PER_TOKEN)
def test_what_an_engine_does_not_tell_is_refused(engine: str, reward: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=f"is made of .*, {engine} tells none"):
        makers(tmp_path)[engine](reward)
    with pytest.raises(SpecError, match="unknown reward 'nonsense'"):
        makers(tmp_path)[engine]("nonsense")


def test_rewards_travel_to_workers(mine: Path, tmp_path: Path) -> None:
    made = tinker.payer("mine.py:longest", tinker.ENGINE, 0, "strict", mine)
    again = pickle.loads(pickle.dumps(made))
    assert again.pay(["a", "bb"], Told(PROBLEMS[0], "4"), Draw(0, 0, "p")) == (0.0, 1.0)
