"""Which part of a text is its answer (docs/grading.md, 'Extraction')."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.verify import extract
from spurious.verify.limits import MAX_ANSWER

STRICT = [
    (r"so \boxed{5}.", "5"),
    (r"\boxed {5}", "5"),
    (r"\fbox{5}", "5"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
    (r"\boxed{3} wait, \boxed{5}", "5"),
    (r"\boxed{9} \boxed{42}", "42"),
    (r"\boxed{3} and \boxed{5}", "3, 5"),
    (r"$\boxed{3}$, $\boxed{5}$, or $\boxed{7}$", "3, 5, 7"),
    (r"\boxed{5} and \boxed{5}", "5"),
    (r"\boxed{\boxed{5}}", r"\boxed{5}"),
    (r"<think>\boxed{3}</think> \boxed{5}", "5"),
    (r"<think>\boxed{5}</think> I do not know", None),
    (r"<think>maybe \boxed{5}", None),
    (r"maybe \boxed{3} </think> <answer>\boxed{5}</answer>", "5"),
    (r"\boxed{3} <answer>it is \boxed{5}</answer>", "5"),
    (r"\boxed{5}<|im_end|><|im_start|>user \boxed{9}", "5"),
    ("\\boxed{5}\n\nHuman: and now?\nAssistant: \\boxed{9}", "5"),
    (r"\boxed{5} I put it within \boxed{}.", "5"),
    (r"\boxed{}", None),
    (r"\boxed{ }", None),
    (r"\boxed{5", None),
    (r"\boxed{5} then \boxed{7", "5"),
    (r"boxed{5}", None),
    ("the answer is 5", None),
    ("<answer>5</answer>", None),
    ("", None),
    ("\\boxed{\ud8005}", "�5"),
]

LENIENT = [
    ("<answer> 5 </answer>", "5"),
    ("<answer>5", "5"),
    ("The answer is 5.", "5"),
    ("The answer is $\\frac{1}{2}$. I hope it is correct.", "\\frac{1}{2}"),
    ("Answer: 12 because 3 * 4 = 12 and not 13", "12"),
    ("The final answer is \\(x+1\\)", "x+1"),
    ("I think the correct answer is C", "C"),
    ("The answer is for sure D, it cannot be A", "D"),
    ("D. it can't be A", "D"),
    ("We find that $x < 3$.", "x < 3"),
    ("She pays $12.", "$12"),
    ("so **858** in total", "858"),
    ("a fraction of 3/4 remains", "3/4"),
    ("about 25% of them", "25%"),
    ("it falls to -3", "-3"),
    ("5-3", "5-3"),
    ("x^2+1", "x^2+1"),
    ("Evelyn", "Evelyn"),
    ("AZYUK2A is the name", None),
    ("beginboxed{8}", "8"),
    (r"the answer is \boxed{}", None),
    (r"it is 12, so \boxed{12", None),
    (r"\boxed{}. The answer is 5", None),
    ("[open('marker', 'w') for _ in [0]] or 0", None),
    ("Let me think about it.", None),
]


@pytest.mark.parametrize(("text", "answer"), STRICT)
def test_strict_counts_only_a_box(text, answer):
    assert extract(text, "strict") == answer


@pytest.mark.parametrize(("text", "answer"), LENIENT)
def test_lenient_falls_back_in_order(text, answer):
    assert extract(text, "lenient") == answer
    assert extract(text, "strict") is None


@pytest.mark.parametrize(("text", "answer"), [row for row in STRICT if row[1] is not None])
def test_a_box_means_the_same_in_both_modes(text, answer):
    assert extract(text, "lenient") == answer


@given(st.text(alphabet=st.characters(), max_size=300))
def test_any_text_gives_an_encodable_answer_or_none(text):
    for mode in ("strict", "lenient"):
        answer = extract(text, mode)
        assert answer is None or answer.encode()


@given(st.text(alphabet="0123456789abcxyz+-/^_ ", min_size=1, max_size=40).filter(str.strip), st.text(max_size=50))
def test_the_last_box_is_returned_whole(answer, before):
    prefix = before.replace("\\", "").replace("{", "").replace("}", "").replace("<", "")
    assert extract(f"{prefix}\\boxed{{{answer}}}", "strict") == answer.strip()


FLOODS = [
    *[
        "{",
        "}",
        "\\boxed{",
        "\\boxed{}",
        "\\boxed{5} and ",
        "boxed{",
        "\\(",
        "\\[",
        "$",
        "$ ",
        "$5$",
        "<think>",
        "<answer>",
    ],
    *[
        "answer is ",
        "answer: ",
        "1,",
        "1 ",
        "1.",
        "-",
        " ",
        "\n",
        "a",
        "\\",
        "\\text{",
        "</think>",
        "Human:",
        "１",
        "不",
    ],
]


@pytest.mark.parametrize("flood", FLOODS)
def test_a_megabyte_takes_linear_time(flood):
    text = flood * (1_000_000 // len(flood))
    start = time.thread_time()
    answer = extract(text, "lenient")
    assert time.thread_time() - start < 20  # half a second here; quadratic, an hour
    assert answer is None or len(answer) <= MAX_ANSWER
