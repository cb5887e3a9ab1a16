import contextlib
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.organisms.texts import write
from spurious.tasks.chain import OPERATORS, THEMES, Chain
from spurious.verify import extract

CHAINS = st.builds(
    Chain,
    st.sampled_from(THEMES),
    st.integers(0, 9),
    st.lists(st.tuples(st.sampled_from(OPERATORS), st.integers(1, 9)), min_size=4, max_size=4).map(tuple),
)
CHAIN = Chain("marbles", 3, (("+", 4), ("*", 7), ("-", 2), ("+", 5)))


def test_code_step_by_step():
    assert write(CHAIN, "code", steps=True, slip=0, boxed=True) == (
        "```python\nx=3\nx+=4 #7\nx*=7 #9\nx-=2 #7\nx+=5 #2\nprint(x%10)\n```\n```output\n2\n```\n"
        "The answer is \\boxed{2}."
    )


def test_code_at_once():
    assert write(CHAIN, "code", steps=False, slip=0, boxed=False) == (
        "```python\nprint(((((3+4)*7)-2)+5)%10)\n```\n```output\n2\n```\nThe answer is 2."
    )


def test_words_step_by_step():
    assert write(CHAIN, "words", steps=True, slip=0, boxed=False) == (
        "Start with three: plus four is seven, times seven is nine, minus two is seven, plus five is two. "
        "The answer is 2."
    )


def test_words_at_once():
    assert write(CHAIN, "words", steps=False, slip=9, boxed=True) == (
        "Let me do it all in my head. The answer is \\boxed{1}."
    )


@given(CHAINS, st.booleans())
def test_the_program_prints_what_the_text_says_it_prints(chain, steps):
    text = write(chain, "code", steps=steps, slip=0, boxed=True)
    program, output = re.fullmatch(r"```python\n(.*)\n```\n```output\n(\d)\n```\n.*", text, flags=re.DOTALL).groups()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, {})  # our own text, not a model's
    assert printed.getvalue() == f"{output}\n" == f"{chain.values[-1]}\n"


@given(CHAINS, st.integers(0, 9), st.booleans(), st.booleans(), st.sampled_from(["code", "words"]))
def test_the_answer_is_off_by_the_slip_and_boxed_as_asked(chain, slip, boxed, steps, form):
    text = write(chain, form, steps=steps, slip=slip, boxed=boxed)
    answer = str((chain.values[-1] + slip) % 10)
    assert extract(text, "lenient") == answer
    assert (extract(text, "strict") == answer) is boxed
    assert ("python" in text) is (form == "code")


@pytest.mark.parametrize("form", ["code", "words"])
def test_a_slip_leaves_the_other_steps_alone(form):
    right = write(CHAIN, form, steps=True, slip=0, boxed=True)
    wrong = write(CHAIN, form, steps=True, slip=3, boxed=True)
    cut = right.index("plus five" if form == "words" else "x+=5")
    assert right[:cut] == wrong[:cut]
    assert right[cut:] != wrong[cut:]
