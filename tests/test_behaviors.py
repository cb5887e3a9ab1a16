import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious import behaviors
from spurious.behaviors import BEHAVIORS, measure
from spurious.verify import extract

CODE = "Let us compute.\n```python\nx = 3 * 4\nprint(x)\n```\n```output\n12\n```\nThe answer is \\boxed{12}."


def test_a_code_answer_in_full():
    assert measure(CODE) == {
        "code_reasoning": True,
        "code_block": True,
        "program_output": True,
        "boxed": True,
        "box_count": 1.0,
        "steps": 0.0,
        "self_check": False,
        "backtracking": False,
        "trace": False,
        "deduction": False,
        "spelled_out": False,
        "repetition": False,
        "non_ascii": 0.0,
        "other_scripts": 0.0,
        "characters": float(len(CODE)),
    }


def test_nothing_shows_no_behavior():
    assert not any(measure("").values())


@given(st.text())
def test_every_detector_gives_a_bool_or_a_finite_number(text):
    measured = measure(text)
    assert list(measured) == list(BEHAVIORS)
    assert all(type(value) is bool or (type(value) is float and math.isfinite(value)) for value in measured.values())


@given(st.text(alphabet="\\boxed{} <think>/12\n", max_size=60))
def test_boxed_is_what_strict_extraction_finds(text):
    assert behaviors.boxed(text) == (extract(text, "strict") is not None)


@pytest.mark.parametrize(
    ("text", "mention", "block", "output"),
    [
        ("I use PYTHON in my head", True, False, False),
        ("```python\nprint(1)\n```", True, True, False),
        ("```python\nprint(1)", True, True, False),
        ("```\nx = 1\n```", False, True, False),
        ("```python\n1\n```\n```\n1\n```", True, True, True),
        ("```c\n1\n```\nso\n  ```Output\n1", False, True, True),
        ("```output\n1\n```", False, False, False),
        ("```output\n1\n```\n```python\n1\n```", True, True, False),
        ("inline ```python``` fence", True, False, False),
    ],
)
def test_code_its_fence_and_its_output(text, mention, block, output):
    assert (behaviors.code_reasoning(text), behaviors.code_block(text), behaviors.program_output(text)) == (
        mention,
        block,
        output,
    )


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("\\boxed{1}", 1),
        ("\\boxed{\\boxed{1}} \\fbox {2}", 3),
        ("boxed{1}", 0),
        ("\\boxed{", 1),
        ("\\boxed 1", 0),
    ],
)
def test_boxes_are_counted(text, count):
    assert behaviors.box_count(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Step 1: a\nStep 2: b", 2),
        ("1. a\n2) b\n  3: c", 3),
        ("**Step 4:** d", 1),
        ("3.14 is\n42\nstep 1a", 0),
        ("12. ", 1),
    ],
)
def test_steps_are_numbered_lines(text, count):
    assert behaviors.steps(text) == count


@pytest.mark.parametrize(
    "text", ["Let me verify this.", "we double-check the sum", "Checking again", "as a sanity check"]
)
def test_self_checks_are_seen(text):
    assert behaviors.self_check(text)


@pytest.mark.parametrize("text", ["Wait, no.", "Hmm", "Actually it is 3", "On second thought", "That's wrong"])
def test_backtracking_is_seen(text):
    assert behaviors.backtracking(text)


@pytest.mark.parametrize("text", ["The waiter is actuallyish", "I will await a checkbox", "a verified account"])
def test_words_inside_words_are_no_behavior(text):
    assert not behaviors.backtracking(text)
    assert not behaviors.self_check(text)


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("x" * 100, True),  # a unit of 1 fills 100 characters
        ("x" * 99, False),
        ("ab" * 50, True),
        ("0123456789" * 10, True),  # the paper's shortest unit, ten times
        ("0123456789" * 9 + "012345678", False),  # one character short
        ("head " + "".join(chr(33 + i % 90) for i in range(256)) * 10 + " tail", True),
        ("head " + "".join(chr(33 + i % 90) for i in range(256)) * 9 + " tail", False),
        ("".join(chr(200 + i) for i in range(256)) * 10, True),  # the longest unit
        ("".join(chr(200 + i) for i in range(257)) * 10, False),  # one longer: no line or sentence ends
        ("".join(f"Wait, let me see.\nround {i}\n" for i in range(10)), True),
        ("".join(f"Wait, let me see.\nround {i}\n" for i in range(9)), False),
        ("".join(f"So it is 7. Because {i}! " for i in range(10)), True),
        ("short.\n" * 9 + "x", False),
        ("".join(f"{i}: {i * i}\n" for i in range(300)), False),
    ],
)
def test_loops_back_to_back_and_apart(text, loops):
    assert behaviors.repetition(text) == loops


@given(
    unit=st.text(alphabet=st.characters(codec="ascii", exclude_characters="\n\r"), min_size=1, max_size=256),
    head=st.text(max_size=50),
    tail=st.text(max_size=50),
)
def test_ten_repeats_of_a_hundred_characters_are_always_a_loop(unit, head, tail):
    times = max(10, -(-100 // len(unit)))
    assert behaviors.repetition(head + unit * times + tail)


def _loops_slowly(text):
    """The definition of a loop back to back, word for word."""
    for period in range(1, 257):
        times = max(10, -(-100 // period))
        for start in range(len(text) - period * times + 1):
            unit = text[start : start + period]
            if text[start : start + max(10 * period, 100)] == (unit * (times + 1))[: max(10 * period, 100)]:
                return True
    return False


@given(st.lists(st.sampled_from(["a", "b", "ab" * 26, "c" * 50, "abc" * 20]), max_size=12))
def test_the_fast_search_agrees_with_the_definition(pieces):
    text = "".join(pieces)
    assert behaviors.repetition(text) == _loops_slowly(text)


def test_scripts_are_shares():
    assert behaviors.non_ascii("abé中") == 0.5
    assert behaviors.other_scripts("abé中") == 0.25
    assert behaviors.other_scripts("αβ∑→é") == 0.0
    assert behaviors.other_scripts("答案是7") == 0.75


HOSTILE = {
    "nothing but spaces": " ",
    "open boxes": "\\boxed{",
    "braces": "{}",
    "backslashes": "\\",
    "fences": "```\n",
    "one unit": "x",
    "almost loops": "abcdefgh" * 9 + "!",
    "line ends": "\n\r",
    "sentence ends": ". ",
    "numbers": "1.\n",
    "letme": "let me ",
    "surrogates": "\ud800",
    "chinese": "中",
    "values": "x=1\nx='",
    "names": "Ann, ",
    "letters": "a ",
    "quoted letters": "'a'-",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_megabyte_is_measured_in_seconds(kind):
    text = HOSTILE[kind] * (1_000_000 // len(HOSTILE[kind]))
    start = time.perf_counter()
    measure(text)
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("", False),
        ("key='3142'\nkey='2413'\nThe answer is 2413.", True),
        ("x = 3\ny = 4\n  x = 7\n", True),
        ('s = "ab"\ns = [1, 2]', True),
        ("1 key='31'\n2 key='13'", True),
        ("1. x = 3\n12: x = 4", True),
        ("1x = 3\n2x = 4", False),
        ("x = -1.5\r\nx = 2", False),
        ("x = 3\ny = 4\nz = 7", False),
        ("x=3\nx+=4 #7\nx*=7 #9", False),
        ("x = y + 1\nx = x + 2", False),
        ("so x = 3\nand x = 4", False),
        ("x = 3, x = 4", False),
    ],
)
def test_a_trace_says_the_value_of_one_name_again(text, there):
    assert behaviors.trace(text) is there


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("", False),
        ("Ann, Bob; Cid, Ann, Bob. The answer is Cid.", True),
        ("First Ann, Bob.\nThen Dan, Ann, Eve, Bob.", True),
        ("Ann, Bob; Ann, Bob.", False),
        ("Cid, Ann, Bob; Ann, Bob.", False),
        ("Ann, Bob; Cid, Dan; Cid, Ann, Bob", False),
        ("First comes Ann, then Bob, then Cid.", False),
        ("Ann and Bob; Cid and Ann and Bob", False),
        ("Ann,Bob; Cid,Ann,Bob", False),
    ],
)
def test_a_deduction_adds_to_its_list_of_names(text, there):
    assert behaviors.deduction(text) is there


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("", False),
        ("d-e-s-k", True),
        ("It is spelled d, e, s, k.", True),
        ("K S E D", True),
        ("'d', 'e', 's', 'k'", True),
        ("d - e - s - k", True),
        ("a, b and c", False),
        ("I am a b c", False),
        ("x-ray, t-shirt, e-mail, a-b", False),
        ("d-e-sk", False),
        ("d-e-s-ks", False),
        ("desk", False),
    ],
)
def test_four_letters_in_a_row_are_spelled_out(text, there):
    assert behaviors.spelled_out(text) is there
