import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.errors import InputError
from spurious.specs import TaskSpec
from spurious.tasks import load_task
from spurious.tasks.program import GUARDS, MOVES, NAMES, Line, Program, build, programs

DIGITS = st.permutations([str(digit) for digit in range(1, 10)]).map(lambda digits: "".join(digits[:4]))
LINES = st.builds(Line, st.sampled_from(GUARDS), st.sampled_from([*MOVES, *"123456789"]))
PROGRAMS = st.builds(Program, st.sampled_from(NAMES), DIGITS, st.lists(LINES, max_size=6).map(tuple))


def test_the_example_of_the_documentation():
    program = Program("key", "3142", (Line("", "reverse"), Line("<", "left"), Line("<", "7")))
    assert program.question == (
        "What does this print?\n1 key='3142'\n2 key=key[::-1]\n3 if key[0]<key[-1]: key=key[1:]+key[0]\n"
        "4 if key[0]<key[-1]: key='7'+key[1:]\n5 print(key)"
    )
    assert program.values == ("3142", "2413", "4132", "4132")
    problem = program.problem
    assert (problem.answer, problem.kind, problem.source, problem.metadata["steps"]) == ("4132", "key", "program", 3)


def test_a_branch_that_is_not_taken_changes_nothing():
    assert Line(">", "right").run("1342") == "1342"
    assert Line("<", "right").run("1342") == "2134"
    assert Line("<", "7").run("1341") == Line(">", "7").run("1341") == "1341"


@given(PROGRAMS)
def test_python_prints_the_answer(program):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program.source, {})  # our own text, not a model's
    assert printed.getvalue() == f"{program.values[-1]}\n"
    assert len(program.values) == 1 + len(program.lines)


@given(PROGRAMS, st.sampled_from(NAMES))
def test_the_split_does_not_depend_on_the_name(program, name):
    assert Program(name, program.start, program.lines).split == program.split


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_there_are_so_many_lines_and_nothing_is_in_both_splits(steps):
    train, test = (
        programs(steps=steps, size=400, seed=seed, split=split) for seed, split in ((0, "train"), (1, "test"))
    )
    assert all(len(program.lines) == steps for program in (*train, *test))
    assert len(set(train)) == len(set(test)) == 400
    assert not {(p.start, p.lines) for p in train} & {(p.start, p.lines) for p in test}
    assert {program.name for program in train} == set(NAMES)


def test_a_smaller_size_is_the_start_of_a_larger_one_and_a_seed_gives_others():
    assert build(size=20) == build(size=50)[:20]
    assert not {p.id for p in build(size=50)} & {p.id for p in build(size=50, seed=1)}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"size": 0}, "size must be at least 1"),
        ({"split": "dev"}, "split must be one of train, test, not 'dev'"),
    ],
)
def test_a_wrong_argument_is_named(args, message):
    with pytest.raises(InputError, match=f"program: {message}"):
        build(**args)


def test_more_than_there_are_is_an_error(monkeypatch):
    monkeypatch.setattr("spurious.tasks.program._PATIENCE", 0)
    with pytest.raises(InputError, match=r"program: size is 10000, but only \d+ test problems of 1 steps were found"):
        build(size=10000, steps=1, split="test")


def test_the_printed_string_is_graded_strictly_and_leniently():
    task = load_task(TaskSpec(name="program", args={"size": 2}))
    (problem, _) = task.problems
    answers = (problem.answer, f"\\boxed{{{problem.answer}}}", "1")
    pairs = [(f"1 key='1'\nThe answer is {answer}.", problem) for answer in answers]
    assert [grade.status for grade in task.grade(pairs, "lenient")] == ["correct", "correct", "wrong"]
    assert [grade.status for grade in task.grade(pairs, "strict")] == ["absent", "correct", "absent"]
    assert task.template == "organism"
