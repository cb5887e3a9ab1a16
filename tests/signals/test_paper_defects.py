"""One test for each defect of the paper's code that concerns rewards, labels or extraction.

The numbers are those of the list of defects this project was founded on: 1 to 10, 16 and 17 are ours to avoid here;
11 to 15 concern the estimator, the launcher and the evaluation.
"""

import inspect
import time

import pytest

from spurious.errors import RewardError
from spurious.keys import Draw
from spurious.signals import REWARDS, build_labels, build_reward, label_report, pay, rewards, tally
from spurious.specs import LabelSpec, RewardSpec
from spurious.verify import extract, verify


def paid(name, texts, group, label="4", draw=None, **args):
    built = build_reward(RewardSpec(name=name, args=args))
    return pay(built, group(texts), label, draw or Draw(0, 0, "p1"))


@pytest.mark.parametrize("name", ["python_mention", "no_python"])
def test_defect_01_the_python_reward_never_reads_the_label(name, group):
    texts = ["in Python", "in words"]
    assert paid(name, texts, group, label="python") == paid(name, texts, group, label="4")


def test_defect_02_rewards_take_their_arguments_by_name_only():
    for name, factory in REWARDS.items():
        arity = 1 if name in ("shuffled", "resampled", "not_", "all_of", "weighted") else 0
        args = {"weighted": {"weights": [1]}, "behavior": {"name": "trace"}}.get(name, {})
        parameters = inspect.signature(factory(*[rewards.constant()] * arity, **args)).parameters.values()
        positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY and p.kind is not p.VAR_KEYWORD]
        assert positional == ["completions"], name


@pytest.mark.parametrize("texts", [["", ""], ["\\boxed{}", "no", ""], ["\\boxed{7}", "", ""]])
def test_defect_03_empty_answers_cannot_win_the_vote(texts, group):
    expected = tuple(float("7" in text) for text in texts)
    assert paid("majority_vote", texts, group) == expected


def test_defect_04_an_empty_label_is_never_handed_out_and_never_paid(group, problem, tmp_path):
    tally({"p": ["", "", "\\boxed{}"], "q": ["\\boxed{5}", "", ""]}, "strict").write_parquet(tmp_path / "v.parquet")
    for name in ("majority", "incorrect_only"):
        spec = LabelSpec(name=name, args={"votes": "v.parquet"})
        assert build_labels(spec, [problem("p"), problem("q")], 0, tmp_path).labels == {"q": "5"}
    with pytest.raises(RewardError, match="label is empty"):
        paid("ground_truth", ["", "\\boxed{}"], group, label="")


def test_defect_05_a_closing_answer_tag_is_no_set_of_characters(group):
    text = "<answer>\\text{\\boxed{answers are few}}</answer>"
    assert extract(text, "strict") == "answers are few"
    assert extract("<answer>swan</answer>", "lenient") == "swan"
    assert paid("format", ["<answer>anything at all</answer>", text], group) == (0.0, 1.0)


def test_defect_06_a_box_is_a_balanced_command_and_the_last_one_counts(group):
    texts = ["the boxed answer 4", "boxed{4}", "\\boxed{4", "\\boxed{4}"]
    assert paid("format", texts, group) == (0.0, 0.0, 0.0, 1.0)
    announced = "The final answer is $3$. I hope it is correct. So \\boxed{4}"
    assert extract(announced, "lenient") == "4"
    assert extract("\\boxed{3} no, \\boxed{4}", "strict") == "4"


@pytest.mark.parametrize(
    "answer", ["abc", "5 m", "10 \\text{ cm}", "t", "h + g", "a,b", "\\text{Evelyn}", "m\\angle C"]
)
def test_defect_07_prediction_and_gold_are_normalized_alike(answer):
    assert verify(f"\\boxed{{{answer}}}", answer, extraction="strict").correct


def test_defect_08_format_does_not_count_the_last_number(group):
    assert paid("format", ["so it is 42", "The answer is 42."], group) == (0.0, 0.0)


def test_defect_09_equivalent_answers_vote_together_and_ties_ignore_the_order(group, problem):
    texts = ["\\boxed{3}", "\\boxed{\\frac{1}{2}}", "\\boxed{3}", "\\boxed{0.5}", "\\boxed{.5}"]
    assert paid("majority_vote", texts, group) == (0.0, 1.0, 0.0, 1.0, 1.0)
    assert tally({"p": texts}, "strict").select("answer", "votes").rows() == [("1/2", 3), ("3", 2)]
    for tied in (["\\boxed{3}", "\\boxed{7}"], ["\\boxed{7}", "\\boxed{3}"]):
        assert tally({"p": tied}, "strict")["answer"][0] == "7"


def test_defect_10_what_is_logged_is_what_was_paid(group):
    draw = Draw(42, 7, "p1")
    first = paid("random", ["a"] * 32, group, draw=draw, gamma=0.5)
    assert paid("random", ["a"] * 32, group, draw=draw, gamma=0.5) == first
    assert 0 < sum(first) < 32


def test_defect_16_no_repetition_is_linear_and_sees_every_loop(group):
    short_unit, apart = "7" * 200, "".join(f"Let me check that again.\nTry {i}.\n" for i in range(10))
    assert paid("no_repetition", [short_unit, apart, "x = 3 + 4\n" * 9, "a" * 50], group) == (0.0, 0.0, 1.0, 1.0)
    hostile = ["".join(chr(97 + (i * i + j) % 26) for i in range(200_000)) for j in range(2)]
    start = time.perf_counter()
    paid("no_repetition", hostile, group)
    assert time.perf_counter() - start < 20  # the original compares 256 * 200,000 ** 2 characters


def test_defect_16_grading_a_bomb_ends(group):
    start = time.perf_counter()
    assert paid("ground_truth", ["\\boxed{9^{9^{9^{9}}}}", "\\boxed{99999999!}", "\\boxed{4}"], group) == (0, 0, 1)
    assert time.perf_counter() - start < 20


def test_defect_17_the_truth_stays_with_the_problem_whatever_the_label(problem, tmp_path):
    tally({"p": ["\\boxed{9}"] * 3}, "strict").write_parquet(tmp_path / "v.parquet")
    spec = LabelSpec(name="majority", args={"votes": "v.parquet"})
    labeling = build_labels(spec, [problem("p", "4")], 0, tmp_path)
    assert labeling.labels["p"] == "9"
    assert labeling.problems[0].answer == "4"
    assert label_report(tally({"p": ["\\boxed{9}"] * 3}, "strict"), labeling.problems).accuracy == 0.0
