"""Normal form and exact arithmetic: values worked out by hand, laws checked on random numbers."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.verify.characters import to_latex
from spurious.verify.exact import rational, rounds_to
from spurious.verify.limits import TooLarge
from spurious.verify.normalize import key, normalize

VALUES = [
    ("5", Fraction(5)),
    ("-5", Fraction(-5)),
    ("+5", Fraction(5)),
    ("007", Fraction(7)),
    ("5.", Fraction(5)),
    (".5", Fraction(1, 2)),
    ("2.50", Fraction(5, 2)),
    ("1,234", Fraction(1234)),
    (r"1{,}234", Fraction(1234)),
    (r"11,\! 111,\! 100", Fraction(11_111_100)),
    (r"1\,234", Fraction(1234)),
    ("1 000", Fraction(1000)),
    ("1,234.5", Fraction(2469, 2)),
    ("32, 349", None),
    ("1,22", None),
    (r"\frac12", Fraction(1, 2)),
    (r"\dfrac{3}{-4}", Fraction(-3, 4)),
    ("3/4", Fraction(3, 4)),
    (r"3\frac{1}{2}", Fraction(7, 2)),
    (r"-3\frac12", Fraction(-7, 2)),
    ("3 1/2", Fraction(7, 2)),
    ("3½", Fraction(7, 2)),
    (r"2\frac{4}{2}", Fraction(4)),
    (r"1.5 \times 10^3", Fraction(1500)),
    ("1.5e3", Fraction(1500)),
    ("2.5E-2", Fraction(1, 40)),
    (r"0.\overline{3}", Fraction(1, 3)),
    (r"16.1\overline{6}", Fraction(97, 6)),
    (r"2^{10}", Fraction(1024)),
    ("2^-2", Fraction(1, 4)),
    ("-2^2", Fraction(-4)),
    (r"\sqrt{\frac14}", Fraction(1, 2)),
    ("8^{2/3}", Fraction(4)),
    (r"\sqrt{2}", None),
    ("5!", Fraction(120)),
    (r"\binom{5}{2}", Fraction(10)),
    ("(9+1)", Fraction(10)),
    ("2(3+4)", Fraction(14)),
    ("1-1/2-1/3", Fraction(1, 6)),
    ("1/0", None),
    ("x", None),
    ("", None),
    ("５", Fraction(5)),
    ("٥", Fraction(5)),
    ("−5", Fraction(-5)),
    ("²", None),
    ("5​", Fraction(5)),
    (r"\$5", Fraction(5)),
    (r"\text{5}", Fraction(5)),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_value(text, value):
    assert rational(normalize(text)) == value


@pytest.mark.parametrize("text", ["9^{9^{9}}", "2^{999999999}", "99999999!", r"\binom{2000000}{1000000}", "1e99999"])
def test_a_favor_to_an_attacker_is_refused(text):
    with pytest.raises(TooLarge):
        rational(normalize(text))


@given(st.integers(min_value=-(10**4000), max_value=10**4000))
def test_integers_of_any_length_are_exact(number):
    text = f"{abs(number):_}".replace("_", ",")
    assert rational(("-" if number < 0 else "") + text) == number


def test_integers_longer_than_python_converts_are_exact():
    ones = "1" * 9000
    assert rational(ones) == (10**9000 - 1) // 9
    assert rational("-" + ones) == -((10**9000 - 1) // 9)


@given(st.fractions(), st.fractions())
def test_arithmetic_is_that_of_fractions(a, b):
    def shown(value):
        return rf"\left(\frac{{{value.numerator}}}{{{value.denominator}}}\right)"

    assert rational(normalize(f"{shown(a)}+{shown(b)}")) == a + b
    assert rational(normalize(rf"{shown(a)} \cdot {shown(b)}")) == a * b
    assert rational(normalize(f"{shown(a)}-{shown(b)}")) == a - b


@pytest.mark.parametrize(
    ("decimal", "value", "expected"),
    [
        ("0.333333", Fraction(1, 3), True),
        ("0.666667", Fraction(2, 3), True),
        ("0.666666", Fraction(2, 3), True),
        ("0.666668", Fraction(2, 3), False),
        ("0.33333", Fraction(1, 3), False),
        ("0.000001", Fraction(1, 10**6 - 1), False),
    ],
)
def test_a_decimal_of_six_digits_stands_for_what_it_rounds(decimal, value, expected):
    assert rounds_to(value, decimal) is expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\left(3,\frac{\pi}{2}\right)", r"( 3 , \dfrac\pi2 )"),
        (r"x^2", "x²"),
        (r"x_1", "x_{1}"),
        (r"\sqrt2", "√2"),
        (r"\sqrt{12}", "√(12)"),
        (r"x \leq 5", "x≤5"),
        (r"x \neq 5", "x != 5"),
        (r"90^\circ", "90°"),
        (r"$5$", "5."),
        (r"\[5\]", "**5**"),
        (r"\{1,2\}", r"\left\{ 1, 2 \right\}"),
        (r"10{:}30", "10:30"),
        (r"\\frac{1}{2}", r"\frac{1}{2}"),
        (r"\sqrt [3]{2}", r"\sqrt[3]{2}"),
        (r"\boxed{x}", "x"),
        (r"\mathrm{ln}\,2", r"\ln 2"),
        ("f( x )", "f(x)"),
    ],
)
def test_spellings_of_one_answer(one, other):
    assert key(normalize(one)) == key(normalize(other))


@pytest.mark.parametrize(
    ("one", "other"), [("3 1/2", "31/2"), ("1 2", "12"), ("R", "r"), ("[1,2)", "[1,2]"), ("5!", "5"), ("f'", "f")]
)
def test_spellings_of_two_answers(one, other):
    assert key(normalize(one)) != key(normalize(other))


@given(st.text(max_size=200))
def test_normalizing_any_text_never_fails_and_leaves_no_invisible_character(text):
    assert all(char.isprintable() or not char.isascii() for char in normalize(text))
    assert to_latex("x" + text).startswith("x")
