import json
import re
from collections import Counter
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.errors import DataError, SpecError
from spurious.signals import LABELS, VOTES_SCHEMA, build_labels, tally
from spurious.specs import LabelSpec
from spurious.types import Problem
from spurious.verify import equal

ANSWERS = ("4", "-3", "0", "\\frac{1}{2}", "0.25", "x+1", "\\text{odd}", "12", "(1,2)", "\\sqrt{2}")
ARGS = {"majority": {}, "nth_vote": {"n": 1}, "incorrect_only": {}, "noise": {"p": 0.5}}


def labels(name, problems, seed=0, base=None, **args):
    return build_labels(LabelSpec(name=name, args=args), problems, seed, base)


@pytest.fixture(scope="session")
def problems(problem):
    return [problem(f"p{i}", ANSWERS[i % len(ANSWERS)]) for i in range(40)]


@pytest.fixture
def votes(tmp_path, problems):
    """Problem i has 3 votes for 99, 2 for its truth and one empty answer; every third one 2 and 3."""
    path = tmp_path / "votes.parquet"

    def texts(i, answer):
        right = 3 if i % 3 == 0 else 2
        return [f"\\boxed{{{answer}}}"] * right + ["\\boxed{99}"] * (5 - right) + [""]

    tally({p.id: texts(i, p.answer) for i, p in enumerate(problems)}, "strict").write_parquet(path)
    return path


def arguments(name, votes):
    return {
        **ARGS.get(name, {}),
        **({"votes": str(votes)} if name in ("majority", "nth_vote", "least_common", "incorrect_only") else {}),
    }


@pytest.mark.parametrize("name", LABELS)
def test_every_kept_problem_has_a_label_and_every_other_is_counted(name, problems, votes):
    labeling = labels(name, problems, **arguments(name, votes))
    assert set(labeling.labels) == {problem.id for problem in labeling.problems}
    assert all(label.strip() for label in labeling.labels.values())
    assert len(labeling.problems) + sum(labeling.dropped.values()) == len(problems)
    assert [problem for problem in problems if problem.id in labeling.labels] == list(labeling.problems)


@pytest.mark.parametrize("name", LABELS)
def test_same_seed_same_labels_whatever_the_order_of_the_problems(name, problems, votes):
    args = arguments(name, votes)
    first, second = labels(name, problems, 3, **args), labels(name, problems[::-1], 3, **args)
    assert first.labels == second.labels
    assert first.digest == second.digest


@pytest.mark.parametrize("name", ["near", "far", "shuffled", "noise"])
def test_another_seed_gives_other_labels(name, problems):
    args = ARGS.get(name, {})
    assert labels(name, problems, 0, **args).labels != labels(name, problems, 1, **args).labels
    assert labels(name, problems, 0, **args).digest != labels(name, problems, 1, **args).digest


@pytest.mark.parametrize("name", ["near", "far", "shuffled", "incorrect_only"])
def test_a_wrong_label_is_wrong_by_the_verifier(name, problems, votes):
    labeling = labels(name, problems, **arguments(name, votes))
    assert labeling.problems
    for problem in labeling.problems:
        assert equal(problem.answer, labeling.labels[problem.id]) in ("wrong", "unparsable")


def test_true_is_the_truth(problems):
    assert labels("true", problems).labels == {problem.id: problem.answer for problem in problems}


def test_majority_and_runner_up(problems, votes):
    first, second = (labels("nth_vote", problems, votes=str(votes), n=n).labels for n in (1, 2))
    assert labels("majority", problems, votes=str(votes)).labels == first
    for i, problem in enumerate(problems):
        expected = [problem.answer, "99"] if i % 3 == 0 else ["99", problem.answer]
        assert [first[problem.id], second[problem.id]] == expected


def test_a_problem_with_too_few_different_answers_is_dropped(problems, votes):
    with pytest.raises(DataError, match="leaves no problem to train on: 40 because it has fewer than 3 different"):
        labels("nth_vote", problems, votes=str(votes), n=3)


def test_the_least_common_answer_and_of_one_answer_none(problem, tmp_path):
    boxes = {"p": "1 1 1 2 2 3 4", "q": "5 5 5", "r": "7 8"}  # ties: the lesser text
    texts = {name: [f"\\boxed{{{answer}}}" for answer in answers.split()] for name, answers in boxes.items()}
    tally({**texts, "s": [""]}, "strict").write_parquet(tmp_path / "votes.parquet")
    labeling = labels("least_common", [problem(name) for name in "pqrst"], base=tmp_path, votes="votes.parquet")
    assert labeling.labels == {"p": "3", "r": "7"}
    assert labeling.dropped == {"all its answers are one": 1, "the table of votes has no answer for it": 2}


def test_incorrect_only_drops_what_the_majority_got_right(problems, votes):
    labeling = labels("incorrect_only", problems, votes=str(votes))
    assert labeling.dropped == {"its majority answer is right": 14}  # 0, 3, ..., 39
    assert set(labeling.labels.values()) == {"99"}


def test_incorrect_only_asks_the_verifier_not_the_spelling(problem, tmp_path):
    texts = {"p": ["\\boxed{\\frac{3+2\\sqrt{2}}{2}}"], "q": ["\\boxed{5,000}"], "r": ["\\boxed{7}"]}
    tally(texts, "strict").write_parquet(tmp_path / "votes.parquet")
    problems = [problem("p", "\\frac{3}{2}+\\sqrt{2}"), problem("q", "5000"), problem("r", "8")]
    labeling = labels("incorrect_only", problems, base=tmp_path, votes="votes.parquet")
    assert labeling.labels == {"r": "7"}


def test_incorrect_only_leaves_out_what_the_verifier_cannot_decide(problem, tmp_path):
    tally({"p": ["\\boxed{9^{9^{9^{9}}}}"], "q": ["\\boxed{7}"]}, "strict").write_parquet(tmp_path / "votes.parquet")
    labeling = labels("incorrect_only", [problem("p"), problem("q")], base=tmp_path, votes="votes.parquet")
    assert labeling.labels == {"q": "7"}
    assert labeling.dropped == {"the verifier cannot decide on its majority answer (limit)": 1}


def test_problems_without_votes_or_with_only_empty_ones_are_dropped_and_counted(problem, tmp_path):
    tally({"p": ["", "\\boxed{ }"], "q": ["\\boxed{2}", "", ""]}, "strict").write_parquet(tmp_path / "votes.parquet")
    labeling = labels("majority", [problem("p"), problem("q"), problem("r")], base=tmp_path, votes="votes.parquet")
    assert labeling.labels == {"q": "2"}
    assert sum(labeling.dropped.values()) == 2


@given(st.integers(-(10**30), 10**30), st.integers(0, 2**32))
def test_near_and_far_integers_keep_their_distance_and_side(problem, truth, seed):
    near = int(labels("near", [problem("p", str(truth))], seed).labels["p"])
    far = int(labels("far", [problem("p", str(truth))], seed).labels["p"])
    assert 1 <= abs(near - truth) <= 3
    assert 10 * max(1, abs(truth)) <= abs(far - truth) <= 99 * max(1, abs(truth))
    assert (near >= 0) == (far >= 0) == (truth >= 0) or (truth < 0 <= near <= 2)


@pytest.mark.parametrize(
    ("truth", "unit", "pattern"),
    [
        ("0.25", Fraction(1, 100), r"\d\.\d\d"),
        ("\\frac{7}{3}", Fraction(1, 3), r"\d+(/3)?"),
        ("-0.5", Fraction(1, 10), r"-?\d\.\d"),
    ],
)
def test_near_numbers_are_written_as_the_truth_is(truth, unit, pattern, problem):
    value = Fraction(truth) if "frac" not in truth else Fraction(7, 3)
    seen = {labels("near", [problem("p", truth)], seed).labels["p"] for seed in range(40)}
    assert len(seen) >= 3
    for label in seen:
        assert re.fullmatch(pattern, label)
        assert abs(Fraction(label) - value) / unit in (1, 2, 3)


@pytest.mark.parametrize("name", ["near", "far"])
def test_an_answer_that_is_no_number_gets_another_problems(name, problem):
    problems = [problem("p", "\\text{odd}"), problem("q", "17"), problem("r", "x+1")]
    assert {labels(name, problems, seed).labels["p"] for seed in range(20)} == {"17", "x+1"}


def test_shuffled_uses_every_answer_as_often_as_it_occurs(problems):
    labeling = labels("shuffled", problems)
    assert not labeling.dropped
    assert Counter(labeling.labels.values()) == Counter(problem.answer for problem in problems)


@given(st.lists(st.sampled_from("12345"), min_size=1, max_size=30), st.integers(0, 2**32))
def test_shuffled_drops_only_what_no_permutation_could_label(answers, seed):
    problems = [Problem(f"p{i}", "?", answer, "test") for i, answer in enumerate(answers)]
    most = max(Counter(answers).values())
    impossible = max(0, 2 * most - len(answers))  # copies of one answer beyond the other problems' number
    if impossible == len(answers):
        with pytest.raises(DataError, match="no other problem has an answer known to be wrong"):
            labels("shuffled", problems, seed)
        return
    labeling = labels("shuffled", problems, seed)
    assert sum(labeling.dropped.values()) == impossible
    assert all(labeling.labels[problem.id] != problem.answer for problem in labeling.problems)


def test_shuffled_knows_that_a_half_is_a_half(problem):
    problems = [problem("p", "0.5"), problem("q", "\\frac12"), problem("r", "3"), problem("s", "4")]
    for seed in range(20):
        told = labels("shuffled", problems, seed).labels
        assert {told["p"], told["q"]} == {"3", "4"}


def test_noise_touches_a_share_of_the_problems_and_grows_with_it(problem):
    problems = [problem(f"p{i}", str(i % 50)) for i in range(1000)]

    def noisy(p):
        told = labels("noise", problems, 5, p=p).labels
        return {one.id for one in problems if told[one.id] != one.answer}

    few, many = noisy(0.2), noisy(0.6)
    assert abs(len(few) - 200) < 70  # sd 12.6
    assert abs(len(many) - 600) < 80  # sd 15.5
    assert few < many
    assert noisy(0) == set()
    assert len(noisy(1)) == 1000


def test_noise_draws_answers_as_often_as_problems_have_them(problem):
    problems = [problem(f"p{i}", "1" if i < 900 else "2" if i < 990 else "3") for i in range(1000)]
    told = labels("noise", problems, p=1).labels
    # a problem whose truth is 2 or 3 is told 1 nearly always; one whose truth is 1 is told 2 nine times in ten
    counts = Counter(told[one.id] for one in problems if one.answer == "1")
    assert counts["2"] + counts["3"] == 900
    assert abs(counts["2"] - 810) < 60  # sd 9


@pytest.mark.parametrize("name", ["noise", "near", "shuffled"])
def test_where_every_answer_is_the_same_nobody_is_told_the_truth_as_if_wrong(name, problem):
    problems = [problem(f"p{i}", "\\text{yes}") for i in range(3)]
    with pytest.raises(DataError, match="3 because no other problem has an answer known to be wrong"):
        labels(name, problems, **({"p": 1} if name == "noise" else {}))


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("majorty", {}, r"label\.name: unknown label transform 'majorty'; there are true, majority"),
        ("majority", {}, r"label \(majority\)\.args\.votes: missing"),
        ("majority", {"votes": 3}, r"label\.args\.votes must be the path"),
        ("true", {"p": 1}, r"label \(true\)\.args\.p: unknown parameter; there is none"),
        ("noise", {"p": 1.5}, "p is a share between 0 and 1"),
        ("noise", {"p": "half"}, "p is a share between 0 and 1"),
    ],
)
def test_a_wrong_specification_is_refused_by_field(name, args, message, problems):
    with pytest.raises(SpecError, match=message):
        labels(name, problems, **args)


@pytest.mark.parametrize("n", [0, -1, 1.0, True, "1"])
def test_a_place_that_is_none_is_refused(n, problems, votes):
    with pytest.raises(SpecError, match="nth_vote: n is a place"):
        labels("nth_vote", problems, votes=str(votes), n=n)


def test_a_table_that_is_missing_is_refused(problems, tmp_path):
    with pytest.raises(DataError, match=r"none\.parquet: no such file"):
        labels("majority", problems, base=tmp_path, votes="none.parquet")


def test_no_problems_are_refused():
    with pytest.raises(DataError, match="there are no problems"):
        labels("true", [])


def test_an_empty_truth_is_never_a_label(problem):
    labeling = labels("true", [problem("p", "4"), problem("q", "  ")])
    assert labeling.labels == {"p": "4"}
    assert labeling.dropped == {"its label is empty": 1}


def test_wrong_labels_of_real_problems_are_wrong(shared, problem):
    rows = json.loads((shared / "data" / "math.json").read_text())[:200]
    problems = [problem(f"p{i}", row["answer"]) for i, row in enumerate(rows)]
    for name in ("near", "far", "shuffled"):
        labeling = labels(name, problems)
        assert len(labeling.problems) == len(problems)
        assert not any(equal(one.answer, labeling.labels[one.id]) == "correct" for one in problems)


def test_votes_have_the_schema_that_labels_read(votes):
    assert pl.read_parquet_schema(votes) == VOTES_SCHEMA
