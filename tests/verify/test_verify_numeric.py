"""Values of plain expressions: what is read, what is left alone, and that the symbolic step says the same."""

import json
import time
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spurious.verify.ladder import decide
from spurious.verify.numeric import numerically
from spurious.verify.symbolic import Unparsable, same_expression

EQUAL = [
    (r"\frac{2\pi}{3}", r"2 \cdot \frac{\pi}{3}"),
    (r"\sqrt{8}", r"2\sqrt{2}"),
    (r"\sqrt[3]{16}", r"2\sqrt[3]{2}"),
    ("e^{1/2}", r"\sqrt{e}"),
    ("162x^4", r"1 \cdot ( 162x^{4} )"),
    ("(a+b)^2", "a^2+2ab+b^2"),
    (r"3 ( 4\sqrt{3} ) - 2 ( 4\sqrt{3} )", r"4\sqrt{3}"),
    (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
    ("-2^2", "-4"),
    ("x/2", r"\frac{x}{2}"),
    (r"\pi", "3.14159265"),
    (r"\sqrt{2}", "1.414213"),
    ("x - x", "0"),
    ("2^{-1}", "0.5"),
    (r".0\pi", "0"),
]
DIFFERENT = [
    (r"\frac{2\pi}{3}", "60"),
    ("162x^4", "162x^3"),
    ("a", "b"),
    (r"\sqrt{2}", "1.41"),
    (r"\sqrt{2}", "1.414214999"),
    (r"\pi", r"\frac{22}{7}"),
    ("(-2)^2", "-4"),
    ("e", r"\frac{19}{7}"),
    ("2+3x", "3x-2"),
]
OTHERS = [
    "1/2x",
    "2^10",
    r"1\frac{1}{2}",
    "f(x)",
    "2 3",
    "x2",
    "abc",
    "X",
    "x'",
    "x_1",
    "2i",
    "dx",
    r"\sin(x)",
    "5!",
    "3%",
    r"30^\circ",
    r"\sqrt{-2}",
    "0^{0}",
    r"\frac{1}{0}",
    r"\frac{1}{x-x}",
    "|x|",
    "x<1",
    "(1,2)",
    "",
    "{",
    "2^{",
    "2**3",
    "2--3",
    r"2 \cdot -3",
    r"\pi(x)",
    "10^{100000}",
    "9^{9^{9^{9}}}",
    r"\sqrt[0]{2}",
    r"\sqrt[n]{2}",
    r"\sqrt[\openouned]{2}",
    r"\sqrt[]{2}",
    "1.5.2",
    "١",
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_one_value_in_two_spellings(one, other):
    assert numerically(one, other) is True
    assert numerically(other, one) is True


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_values(one, other):
    assert numerically(one, other) is False
    assert numerically(other, one) is False


@pytest.mark.parametrize("text", OTHERS)
def test_what_can_be_read_in_two_ways_or_not_at_all_is_left_to_others(text):
    assert numerically(text, "7") is None
    assert numerically("7", text) is None


def test_what_is_too_near_to_call_is_left_to_others():
    assert numerically(r"\pi", "3." + "1415926535897932384626433832795028841971"[:33]) is None
    assert numerically(r"10^{-200}\pi", r"10^{-201}\pi") is None
    assert numerically(r"\sqrt{10^{80}+1}-10^{40}", r"\frac{1}{2}10^{-40}") is None


numbers = st.one_of(
    st.integers(1, 99).map(str),
    st.tuples(st.integers(0, 9), st.integers(1, 99)).map(lambda pair: f"{pair[0]}.{pair[1]}"),
    st.sampled_from([r"\pi", "e", "x", "y"]),
)
expressions = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} + {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} - {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: rf"{pair[0]} \cdot {pair[1]}"),
        st.tuples(inner, inner).map(lambda pair: rf"\frac{{{pair[0]}}}{{{pair[1]}}}"),
        inner.map(lambda one: rf"\sqrt{{{one}}}"),
        st.tuples(inner, st.integers(2, 4)).map(lambda pair: f"({pair[0]})^{pair[1]}"),
    ),
    max_leaves=5,
)


@given(expressions)
def test_rewriting_does_not_change_a_value(text):
    if numerically(text, text) is not None:
        assert numerically(text, rf"3 ( {text} ) - 2 ( {text} )") in (True, None)
        assert numerically(text, f"( {text} ) + 1") in (False, None)
        assert numerically(text, rf"\frac{{( {text} )}}{{1}}") is True


@settings(max_examples=40)
@given(expressions, expressions)
def test_the_symbolic_step_says_the_same(one, other):
    verdict = numerically(one, other)
    if verdict is not None:
        assert same_expression(one, other) == verdict


@given(st.fractions(max_denominator=1000), st.fractions(max_denominator=1000))
def test_fractions_are_what_they_are(one, other):
    def spelled(value: Fraction) -> str:
        return rf"{'-' if value < 0 else ''}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"

    assert numerically(spelled(one), spelled(other)) is (one == other)


def test_the_symbolic_step_says_the_same_of_real_golds(shared):
    golds = [row["answer"] for row in json.loads((shared / "data" / "deepscaler_level_3.json").read_text())][:900]
    compared = 0
    for gold, other in pairwise(golds):
        verdict = numerically(gold, other)
        if verdict is None or not {*gold, *other} & {"\\", "x", "^"}:
            continue
        compared += 1
        try:
            assert same_expression(gold, other) == verdict, (gold, other)
        except Unparsable:
            pytest.fail(f"{gold!r}, {other!r}")
    assert compared > 100


@pytest.mark.parametrize(
    "flood", ["(" * 20 + "1" + ")" * 20, r"\sqrt{" * 20 + "2" + "}" * 20, "x^{" * 20 + "2" + "}" * 20, "1+" * 400 + "1"]
)
def test_no_text_takes_long(flood):
    start = time.process_time()
    decide("7", flood)
    assert time.process_time() - start < 1
