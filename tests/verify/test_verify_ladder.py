"""Which answers say the same (docs/grading.md, 'Conventions'), one case a convention and its near miss."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spurious.errors import DataError
from spurious.verify import canonical, check_gold, disagreements, equal, unparsable_golds, verify, verify_many
from spurious.verify.normalize import normalize

SAME = [
    ("5", "5.0"),
    ("025", "25"),
    (r"\frac12", "0.5"),
    (r"\frac{6480}{2401}", r"\frac{45360}{16807}"),
    (r"\frac13", "0.333333"),
    (r"\sqrt2", "1.41421356"),
    (r"\sqrt{17}", "4.123105625617661"),
    (r"50\%", "50"),
    (r"50\%", r"\frac12"),
    ("10", r"10\%"),
    ("28\\%", "28 percent"),
    (r"90^\circ", "90"),
    (r"15\mbox{ cm}^2", "15"),
    ("5", r"5\text{ cm}"),
    ("5", r"\text{5 cm}"),
    ("5 cm", "5 centimeters"),
    (r"11^{\text{th}}", "11"),
    (r"\$18.90", "18.9"),
    ("1234", "1,234"),
    ("1,22", "1.22"),
    ("4:1", "4"),
    ("4/3", "4:3"),
    ("1:2", "3:6"),
    ("10{:}30", "10:30"),
    ("6 p.m.", "6"),
    ("(1,2)", "(1.0, 2)"),
    ("(1,2)", "1, 2"),
    ("1, 2, 3", "3, 1 and 2"),
    (r"\{1,2,3\}", r"\{3,2,1,1\}"),
    (r"\{1,2\}", "1,2"),
    (r"\{5\}", "5"),
    ("[0,1)", r"0 \le x < 1"),
    ("x<2", r"(-\infty,2)"),
    ("x<2", "2>x"),
    ("x<1", "-x>-1"),
    (r"\{x \mid 2<x<3\}", "(2,3)"),
    (r"2\sqrt{3}\pi", "2*sqrt(3)*pi"),
    ("4", "2+2=4"),
    (r"(-\infty,0)\cup(1,\infty)", r"x>1 \text{ or } x<0"),
    (r"\mathbb{R}\setminus\{1\}", r"(-\infty,1)\cup(1,\infty)"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1.0\\2\end{bmatrix}"),
    ("x=2", "2"),
    ("2", "2=x"),
    ("n=2,3", "2,3"),
    ("AB=4,CD=5", "4,5"),
    ("(p,q)=(3,2)", "(3,2)"),
    (r"x \in (0,1)", "(0,1)"),
    (r"1\pm\sqrt{19}", r"1-\sqrt{19}, 1+\sqrt{19}"),
    ("34x+45y=1", "-34x-45y=-1"),
    ("x^2-1", "(x-1)(x+1)"),
    (r"\tan^2 y+1", r"\sec^2 y"),
    (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"),
    (r"\frac{\sqrt2}{2}", r"\frac{1}{\sqrt2}"),
    ("R(1+h)", "R+Rh"),
    ("1+2i", "2i+1"),
    ("e", "2.71828183"),
    ("2516_8", "2516_{8}"),
    ("2516_8", "2516"),
    (r"\text{even}", "Even"),
    (r"\text{(C)}", "C"),
    ("C", r"\textbf{(C)} 12"),
    ("C Cecile", "C"),
    ("5!", "120"),
    (r"\sum_{k=1}^{n} k", r"\sum_{k=1}^{n} k"),
    ("9^{9^{9^{9}}}", "9^{9^{9^9}}"),
    ("7" * 5000, "7" * 5000),
]

DIFFERENT = [
    ("5", "5.0004"),
    ("5", "5.0000001"),
    ("123456789012345678", "123456789012345679"),
    ("7" * 5000, "7" * 4999 + "8"),
    (r"\frac13", "0.33"),
    ("0.33", r"\frac13"),
    (r"\sqrt2", "1.414"),
    (r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}"),
    (r"\frac{x}{2^{99}}", r"\frac{x}{2^{98}}"),
    (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
    ("50", "0.5"),
    (r"90^\circ", r"\frac{\pi}{2}"),
    ("5 cm", "5 km"),
    ("6 p.m.", "6 a.m."),
    ("32349", "32, 349"),
    ("12:00", "1:00"),
    ("10:30", "1:3"),
    ("(0,1)", "[0,1]"),
    ("(1,2)", "(2,1)"),
    (r"\{1,2\}", "(1,2)"),
    (r"\{1,2\}", r"\{1,2,3\}"),
    ("1,2,3", "1,2"),
    ("2", "[]"),
    ("2", "(0,1)"),
    ("5", "5 or 6"),
    ("x<2", r"x \le 2"),
    ("x<2", "x>2"),
    ("x<2", "y<2"),
    ("x=2", "y=2"),
    ("x+y=3", "3"),
    ("5", "3=5"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
    ("f(x)", "f(y)"),
    ("R^2", "r^2"),
    ("AB", "ab"),
    ("R'", "R"),
    ("x", r"\sqrt{x^2}"),
    ("i", "-i"),
    ("2516_8", "2516_7"),
    ("101_2", "5"),
    ("even", "neve"),
    (r"\text{odd}", r"\text{ddo}"),
    ("C", "D"),
    ("E", r"\mathrm{E}*2"),
    (r"\text{June 6}", "6"),
    ("4950", r"\sum_{k=1}^{99} k"),
    (r"\frac12", r"\int_0^1 x dx"),
    ("0", r"\emptyset"),
]


@pytest.mark.parametrize(("gold", "answer"), SAME)
def test_the_same(gold, answer):
    assert equal(gold, answer) == "correct"


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_not_the_same(gold, answer):
    assert equal(gold, answer) not in ("correct", "failed", "timeout")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (None, "absent"),
        ("9^{9^{9^9}}", "limit"),
        (r"\boxed" + "{" * 40 + "5" + "}" * 40, "limit"),
        ("1" * 20_000, "limit"),
        ("x+" * 800 + "1", "limit"),
        ("().__class__.__base__.__subclasses__()", "unparsable"),
        ("(lambda: open('f','w'))()", "unparsable"),
        (r"\input{/etc/passwd}", "unparsable"),
        ("[open('f','w') for _ in [0]] or 0", "unparsable"),
        (r"\frac{1}{", "unparsable"),
        ("5", "wrong"),
    ],
)
def test_what_cannot_be_compared_says_why(answer, status):
    text = "I do not know" if answer is None else rf"\boxed{{{answer}}}"
    gold = r"\sqrt{2}" if status == "unparsable" else "0"
    if status == "unparsable" and answer == r"\frac{1}{":
        assert equal(gold, answer) == status
    else:
        assert verify(text, gold).status == status


@pytest.mark.parametrize("gold", ["", "  ", "$"])
def test_nothing_equals_an_empty_gold(gold):
    for text in ("", r"\boxed{}", r"\boxed{5}", "5"):
        assert not verify(text, gold).correct
        assert not verify(text, gold, "strict").correct


def test_a_text_that_is_its_gold_is_right_only_leniently():
    gold = r"$\lfloor\varphi n\rfloor$, where $\varphi = \frac{\sqrt{5}+1}{2}$"
    assert verify(gold, gold).correct
    assert verify(gold, gold, "strict").status == "absent"


def test_grades_come_in_order_and_hold_the_answer():
    pairs = [(r"\boxed{2}", "2"), ("none", "2"), (r"\boxed{x+1}", "1+x"), (r"\boxed{3}", "2"), (r"\boxed{2}", "2")]
    grades = verify_many(pairs, extraction="strict")
    assert [grade.status for grade in grades] == ["correct", "absent", "correct", "wrong", "correct"]
    assert [grade.extracted for grade in grades] == ["2", None, "x+1", "3", "2"]
    assert verify_many([]) == []


def test_single_steps_can_be_asked_for():
    pairs = [(r"\boxed{0.5}", r"\frac12"), (r"\boxed{x+1}", "x+1"), (r"\boxed{1+x}", "x+1")]
    assert [grade.correct for grade in verify_many(pairs, steps=("string",))] == [False, True, False]
    assert [grade.correct for grade in verify_many(pairs, steps=("exact",))] == [True, False, False]
    assert [grade.correct for grade in verify_many(pairs, steps=("symbolic",))] == [True, True, True]


def test_the_second_grader_and_where_it_disagrees():
    pairs = [(r"\boxed{\frac12}", "0.5"), (r"\boxed{2516_7}", "2516_8"), (r"\boxed{3}", "4")]
    second = verify_many(pairs, grader="math_verify")
    assert [grade.correct for grade in second] == [True, True, False]
    (found,) = disagreements(pairs)
    assert (found.index, found.gold, found.extracted) == (1, "2516_8", "2516_7")
    assert (found.ladder, found.math_verify) == ("wrong", "correct")


def test_golds_are_checked_when_data_is_loaded():
    golds = ["5", "", r"\frac{1}{", "x^2+1", r"\text{even}", "(1, 2)", "2^{99999999}", "2516_8", "10:30"]
    assert sorted(unparsable_golds(golds)) == [1, 2, 6]
    check_gold("5")
    check_gold(r"\sqrt{2}")
    with pytest.raises(DataError, match="empty"):
        check_gold("")
    with pytest.raises(DataError, match="no parser"):
        check_gold(r"\frac{1}{")


@given(st.fractions(max_denominator=1000))
def test_equal_rationals_vote_together(value):
    reduced, scaled = f"{value.numerator}/{value.denominator}", f"{7 * value.numerator}/{7 * value.denominator}"
    latex = rf"\dfrac{{{value.numerator}}}{{{value.denominator}}}"
    assert canonical(reduced) == canonical(scaled) == canonical(latex) == canonical(f"${reduced}$.")


@given(st.integers(), st.integers())
def test_different_integers_do_not_vote_together(one, other):
    assert (canonical(str(one)) == canonical(f"{other}.0")) == (one == other)


def test_canonical_forms_of_the_rest():
    assert canonical(r"\frac12") == canonical("0.5") == "1/2"
    assert canonical("x + 1") == canonical("$x+1$") == "x+1"
    assert canonical("9^{9^{9}}") == canonical("9^{9^9}")
    assert canonical("1" * 9000) != canonical("1" * 9001)
    assert canonical("1/" + "7" * 9000) != canonical("1/" + "7" * 9001)
    assert len({canonical("{" * 3000), canonical("a" * 20_000), canonical("")}) == 3


PIECES = st.sampled_from(
    [
        *r"0123456789xyeiRn+-*/^_=<>(){}[],;:.!|%&'\ ",
        *(r"\frac", r"\sqrt", r"\text{", r"\pm", r"\le", r"\infty", r"\cup", r"\\", r"\{", r"\}", r"\pi", r"\binom"),
        *(r"\sum", r"\in", r"\begin{pmatrix}", r"\end{pmatrix}", " and ", " or ", "cm"),
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join), st.sampled_from(["5", "x+1", "(1,2)", r"\{1,2\}", "x<2", "C"]))
@settings(max_examples=200, deadline=None)
def test_no_answer_breaks_the_ladder(answer, gold):
    status = equal(gold, answer)
    assert status in {"correct", "wrong", "absent", "unparsable", "limit", "timeout"}
    assert verify(rf"\boxed{{{answer}}}", gold, "strict").status != "failed"


@given(st.lists(PIECES, min_size=1, max_size=10).map("".join).filter(lambda text: normalize(text) != ""))
@settings(max_examples=200, deadline=None)
def test_every_answer_equals_itself(answer):
    assert equal(answer, answer) in {"correct", "limit"}
