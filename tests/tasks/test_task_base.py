import hashlib

from hypothesis import given
from hypothesis import strategies as st

from spurious.tasks.base import Task, content_id, grade_math, make_problem


def test_an_id_is_the_head_of_a_sha256_over_question_and_answer():
    assert content_id("1+1", "2") == hashlib.sha256(b"1+1\x002").hexdigest()[:16]


@given(st.text(), st.text(), st.text(), st.text())
def test_ids_differ_where_content_differs(question, answer, other_question, other_answer):
    same = (question, answer) == (other_question, other_answer)
    ambiguous = "\x00" in question + answer + other_question + other_answer
    assert (content_id(question, answer) == content_id(other_question, other_answer)) == same or ambiguous


def test_an_id_does_not_depend_on_where_the_problem_stands():
    assert make_problem("q", "1", "a", "x", row=1).id == make_problem("q", "1", "b", "y", row=2).id


def test_the_digest_depends_on_content_and_order_and_nothing_else():
    one, two = make_problem("q", "1", "s"), make_problem("r", "2", "s")
    assert Task("a", (one, two)).digest == Task("b", (one, two), template="none", source={"x": 1}).digest
    assert Task("a", (one, two)).digest != Task("a", (two, one)).digest
    assert Task("a", (one,)).digest != Task("a", (one, one)).digest


def test_a_math_task_grades_texts_against_each_problems_own_answer():
    half, three = make_problem("q", "1/2", "s"), make_problem("r", "3", "s")
    pairs = [(r"\boxed{0.5}", half), (r"\boxed{4}", three), ("no idea", three), ("The answer is 3.", three)]
    strict = [grade.status for grade in Task("t", (half, three)).grade(pairs, "strict")]
    lenient = [grade.status for grade in Task("t", (half, three)).grade(pairs, "lenient")]
    assert strict == ["correct", "wrong", "absent", "absent"]
    assert lenient[0] == "correct"
    assert lenient[3] == "correct"


def test_the_default_grader_is_mathematics():
    assert Task("t", ()).grade is grade_math
