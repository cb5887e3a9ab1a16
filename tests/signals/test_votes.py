import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.errors import DataError
from spurious.signals import VOTES_SCHEMA, label_report, tally
from spurious.signals.votes import answer_classes, ranked, read_votes


def boxes(*answers):
    return [f"\\boxed{{{answer}}}" for answer in answers]


def table(*rows):
    return pl.DataFrame(rows, schema=VOTES_SCHEMA, orient="row")


def test_tally_counts_answers_samples_and_empties():
    votes = tally({"p": [*boxes("3", "\\frac12", "0.5"), "", "\\boxed{}"], "q": ["none", ""]}, "strict")
    assert votes.schema == pl.Schema(VOTES_SCHEMA)
    assert votes.rows() == [("p", "1/2", "\\frac12", 2, 5, 2), ("p", "3", "3", 1, 5, 2), ("q", None, None, 0, 2, 2)]


def test_tally_reads_answers_by_the_extraction_it_is_told():
    texts = {"p": ["The answer is 7.", "\\boxed{8}"]}
    assert tally(texts, "strict")["text"].to_list() == ["8"]
    assert set(tally(texts, "lenient")["text"]) == {"7", "8"}


def test_tally_of_nothing_is_an_empty_table():
    assert tally({}, "strict").schema == pl.Schema(VOTES_SCHEMA)
    assert tally({"p": []}, "strict").rows() == [("p", None, None, 0, 0, 0)]


def test_answers_that_only_algebra_finds_equal_join_the_most_common_one():
    # (3 + 2 sqrt 2) / 2 = 3/2 + sqrt 2: different canonical forms
    split = ["\\frac{3+2\\sqrt{2}}{2}", "\\frac{3}{2}+\\sqrt{2}", "5", "5"]
    assert [len(c.members) for c in answer_classes(split)] == [2, 2]
    assert [len(c.members) for c in answer_classes(["\\frac{3}{2}+\\sqrt{2}", *split])] == [3, 2]


def test_a_class_knows_who_gave_it():
    assert answer_classes(["2", None, "0.5", " ", "", "1/2"])[0].members == (2, 5)


@given(
    st.lists(st.sampled_from([None, "", "1/2", "0.5", "7", "30", "x+1", "1+x", "\\text{odd}"]), max_size=10),
    st.randoms(),
)
def test_the_classes_do_not_depend_on_the_order_of_the_answers(answers, randoms):
    moved = list(answers)
    randoms.shuffle(moved)

    def by_answer(some):
        return [(c.answer, len(c.members)) for c in answer_classes(some)]

    assert by_answer(answers) == by_answer(moved)
    classes = answer_classes(answers)
    assert sorted(i for c in classes for i in c.members) == [i for i, answer in enumerate(answers) if answer]
    assert [len(c.members) for c in classes] == sorted((len(c.members) for c in classes), reverse=True)


def test_ranked_breaks_ties_by_text():
    votes = table(("p", "30", "30.", 2, 5, 0), ("p", "7", "7", 2, 5, 0), ("p", "1", "1", 1, 5, 0))
    assert ranked(votes) == {"p": ["7", "30.", "1"]}


def test_the_label_report_compares_with_the_truth(problem):
    votes = table(
        ("right", "1/2", "0.5", 3, 4, 0),
        ("right", "9", "9", 1, 4, 0),
        ("wrong", "9", "9", 2, 4, 2),
        ("empty", None, None, 0, 4, 4),
        ("elsewhere", "1", "1", 4, 4, 0),
    )
    answers = {"right": "\\frac{1}{2}", "wrong": "8", "empty": "3", "missing": "4"}
    report = label_report(votes, [problem(name, answer) for name, answer in answers.items()])
    assert (report.problems, report.labeled, report.without_votes, report.only_empty) == (4, 2, 1, 1)
    assert report.accuracy == 0.5
    assert report.grades == {"correct": 1, "wrong": 1}
    assert report.vote_share == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert report.empty_share == pytest.approx(6 / 12)


def test_the_label_report_of_nothing_has_no_shares(problem):
    report = label_report(table(), [problem()])
    assert (report.labeled, report.accuracy, report.vote_share, report.empty_share) == (0, None, None, None)


def test_votes_survive_the_file(tmp_path):
    votes = tally({"p": boxes("1", "1", "2"), "q": [""]}, "strict")
    votes.write_parquet(tmp_path / "votes.parquet")
    assert read_votes(tmp_path / "votes.parquet").equals(votes)


GOOD = ("p", "1", "1", 2, 3, 1)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([GOOD, ("q", "", "", 1, 1, 0)], r"row 1 \(problem 'q'\): an empty answer has votes"),
        ([GOOD, ("q", None, None, 1, 1, 0)], r"row 1 .*an empty answer has votes"),
        ([GOOD, ("q", "1", "  ", 1, 1, 0)], r"row 1 .*an empty answer has votes"),
        ([("q", "1", "1", 0, 0, 0)], r"row 0 .*an answer has no votes"),
        ([GOOD, ("q", "1", "1", None, 1, 0)], r"row 1 "),
        ([("p", "1", "1", 5, 3, 1)], r"row 0 .*do not add up"),
        ([("p", "1", "1", 1, 2, 0), ("p", "1", "1.0", 1, 2, 0)], r"row 0 .*has this answer twice"),
        ([(None, "1", "1", 1, 1, 0)], r"row 0 .*problem_id is null"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused_by_row(rows, message, tmp_path):
    path = tmp_path / "votes.parquet"
    table(*rows).write_parquet(path)
    with pytest.raises(DataError, match=rf"votes\.parquet: {message}"):
        read_votes(path)


def test_a_file_that_is_no_table_of_votes_is_refused(tmp_path):
    path = tmp_path / "votes.parquet"
    with pytest.raises(DataError, match="no such file"):
        read_votes(path)
    path.write_text("problem_id,answer\n")
    with pytest.raises(DataError, match="not readable as parquet"):
        read_votes(path)
    table(GOOD).drop("n_empty").write_parquet(path)
    with pytest.raises(DataError, match="no column 'n_empty'"):
        read_votes(path)
    table(GOOD).cast({"votes": pl.Float64}).write_parquet(path)
    with pytest.raises(DataError, match="column 'votes' holds Float64, not Int64"):
        read_votes(path)
