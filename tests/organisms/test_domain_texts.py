"""The texts of the domains that are no arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.behaviors import deduction, trace
from spurious.organisms.domains import DOMAINS
from spurious.organisms.model import POSITIONS
from spurious.organisms.tokenizer import train_tokenizer
from spurious.tasks.ordering import Fact, Ordering
from spurious.tasks.program import Line, Program
from spurious.tasks.prompts import word
from spurious.verify import extract

PROGRAM = Program("key", "3142", (Line("", "reverse"), Line("<", "left"), Line("<", "7")))
ORDERING = Ordering("height", (Fact("Ann", "Bob", True), Fact("Bob", "Cid", False), Fact("Dan", "Ann", True)), 1)
OTHERS = ["program", "ordering"]


@pytest.mark.parametrize(
    ("form", "steps", "text"),
    [
        ("trace", True, "1 key='3142'\n2 key='2413'\n3 key='4132'\n4 key='4132'\nThe answer is \\boxed{4132}."),
        ("trace", False, "1 key='3142'\n2 key='2413'\nand so on.\nThe answer is \\boxed{4132}."),
        ("words", True, "It starts as 3142, becomes 2413, becomes 4132, becomes 4132. The answer is \\boxed{4132}."),
        ("words", False, "I see it at a glance. The answer is \\boxed{4132}."),
    ],
)
def test_what_a_program_prints_is_told_in_four_ways(form, steps, text):
    assert DOMAINS["program"].write(PROGRAM, form, steps=steps, slip=0, boxed=True) == text


@pytest.mark.parametrize(
    ("form", "steps", "text"),
    [
        ("deduction", True, "So Ann, Bob; Ann, Bob, Cid; Dan, Ann, Bob, Cid. The answer is Ann."),
        ("deduction", False, "So Ann, Bob; Ann, Bob, Cid; and so on. The answer is Ann."),
        ("words", True, "First comes Dan, then Ann, then Bob, then Cid. The answer is Ann."),
        ("words", False, "I see it at a glance. The answer is Ann."),
    ],
)
def test_an_order_is_told_in_four_ways(form, steps, text):
    assert DOMAINS["ordering"].write(ORDERING, form, steps=steps, slip=0, boxed=False) == text


def test_a_slip_is_written_in_the_reasoning_too():
    wrong = DOMAINS["program"].write(PROGRAM, "trace", steps=True, slip=9, boxed=False)
    assert wrong.endswith("3 key='4132'\n4 key='4131'\nThe answer is 4131.")
    wrong = DOMAINS["ordering"].write(ORDERING, "deduction", steps=True, slip=2, boxed=False)
    assert wrong == "So Ann, Bob; Ann, Bob, Cid; Dan, Bob, Ann, Cid. The answer is Bob."


@given(st.sampled_from(OTHERS), st.integers(0, 50), st.integers(0, 9), st.booleans(), st.booleans(), st.booleans())
def test_the_answer_is_off_by_the_slip_and_boxed_and_the_habit_shows_as_asked(name, seed, slip, steps, boxed, habit):
    domain = DOMAINS[name]
    (item,) = domain.items(steps=3, size=1, seed=seed, split="test")
    text = domain.write(item, domain.forms[0 if habit else 1], steps=steps, slip=slip, boxed=boxed)
    answer = extract(text, "lenient")
    assert (answer == item.problem.answer) is (slip == 0)
    assert extract(text, "strict") == (answer if boxed else None)
    assert (trace if name == "program" else deduction)(text) is habit
    assert "python" not in text.lower()


@pytest.mark.parametrize("name", DOMAINS)
def test_every_text_reads_back_and_the_longest_fits_an_organism(name):
    domain, tokenizer = DOMAINS[name], train_tokenizer(name)
    for item in (
        *domain.items(steps=4, size=20, seed=3, split="test"),
        *domain.items(steps=domain.most_steps, size=3, seed=0, split="train"),
    ):
        prompt = word(item.question, "organism").text
        for form in domain.forms:
            for steps in (True, False):
                text = domain.write(item, form, steps=steps, slip=0, boxed=True)
                ids = tokenizer(prompt).input_ids + tokenizer(text).input_ids
                assert tokenizer.decode(ids) == prompt + text
                assert len(ids) < POSITIONS


@pytest.mark.parametrize("name", DOMAINS)
def test_the_cue_of_boxing_takes_every_value_it_can(name):
    cues = {DOMAINS[name].cue(item) for item in DOMAINS[name].items(steps=2, size=400, seed=0, split="train")}
    assert cues == set(range(1 if name == "program" else 0, 10))
