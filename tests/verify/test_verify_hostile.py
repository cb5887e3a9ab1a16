"""Hostile answers: what fuzzing found, laws that hold for any text, and the grader under load, all in small."""

import importlib.util
import random
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spurious.verify import canonical, extract, pool, unparsable_golds, verify, verify_many
from spurious.verify.exact import rational, terminates
from spurious.verify.ladder import decide
from spurious.verify.limits import MAX_ANSWER, MAX_CACHED, MAX_READ, too_deep
from spurious.verify.units import split_unit

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "hostile"
STATUSES = {"correct", "wrong", "absent", "unparsable", "limit", None}


def script(name):
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location(f"hostile_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


@pytest.fixture(scope="module")
def corpus():
    return script("corpus")


@pytest.fixture(scope="module")
def fuzz():
    return script("fuzz")


@pytest.fixture(scope="module")
def load():
    return script("load")


DEEP = {
    "a chain of roots": r"\sqrt" * 1900 + "2",
    "a chain of fractions": r"\frac" * 1900 + "2",
    "fractions in fractions": r"\frac1" * 1500 + "2",
    "environments": r"\begin{array}" * 400 + "1" + r"\end{array}" * 400,
    "angle brackets": "⟨" * 4000 + "1,2" + "⟩" * 4000,
    "named angle brackets": r"\langle " * 1000 + "1,2" + r"\rangle " * 1000,
    "full-width braces": "｛" * 4000 + "1,2" + "｝" * 4000,
    "named brackets": r"\sqrt\lbrack " * 700 + "2" + r"\rbrack " * 700,
    "boxes in full-width braces": r"\boxed｛" * 1000 + "1,2" + "｝" * 1000,
    "floors": r"\lfloor " * 400 + "2" + r"\rfloor " * 400,
    "units": "5" + r"\text{m}" * 1200,
    "signs": "-" * 9000 + "5",
}


@pytest.mark.parametrize("answer", DEEP.values(), ids=DEEP.keys())
def test_deep_answers_break_nothing_and_cost_nothing(answer):
    start = time.thread_time()
    assert {decide("5", answer), decide(answer, "5")} <= {"limit", "wrong"}
    assert isinstance(canonical(answer), str)
    assert time.thread_time() - start < 10  # hundredths of a second here


def test_depth_is_counted_under_every_name_of_a_bracket():
    for opening, closing in (("{", "}"), (r"\lbrace", r"\rbrace"), (r"\langle ", r"\rangle "), (r"\begin", r"\end")):
        assert too_deep(opening * 25 + closing * 25)
        assert not too_deep(opening * 24 + closing * 24)
        assert not too_deep((opening + closing) * 100)
    assert not too_deep(r"\left(\right)" * 100)


def lists_of(item):
    return ",".join(item(i) for i in range(2, 202))


COSTLY = {
    "constants": (lists_of(lambda i: rf"\sqrt{{{i}}}+\pi"), lists_of(lambda i: rf"\sqrt{{{i}}}+\pi+e")),
    "variables": (lists_of(lambda i: rf"{i}\sqrt{{x}}+y"), lists_of(lambda i: rf"\sqrt{{{i}x}}+z^{{3}}")),
    "large powers": (lists_of(lambda i: "3.141593"), lists_of(lambda i: f"3.141593+2^{{-{24000 + i}}}")),
    "sets of sets": tuple(
        ",".join(r"\{" + ",".join(str(start + i * j) for i in range(40)) + r"\}" for j in range(1, 50))
        for start in (1, 2)
    ),
    "one long gold": ("x+" * 500_000 + "1", "5"),
    "large fractions": ("1,2", "+".join(r"\frac{2^{9000}}{3^{9000}}" for _ in range(38))),
}


@pytest.mark.parametrize(("gold", "answer"), COSTLY.values(), ids=COSTLY.keys())
def test_long_lists_cost_little_whatever_the_gold(gold, answer):
    start = time.thread_time()
    assert decide(gold, answer) in ("limit", "wrong", None)
    assert time.thread_time() - start < 20  # a second here; coverage doubles it


def test_equal_lists_of_200_are_still_compared():
    assert decide(lists_of(str), ",".join(str(i) for i in reversed(range(2, 202)))) == "correct"
    assert decide(lists_of(str), lists_of(lambda i: str(i + 1))) == "wrong"


def test_a_finite_decimal_is_told_by_its_denominator():
    for denominator in range(1, 300):
        rest = denominator
        for prime in (2, 5):
            while rest % prime == 0:
                rest //= prime
        assert terminates(rational(rf"\frac{{{denominator + 1}}}{{{denominator}}}")) == (rest == 1)


@pytest.mark.parametrize("answer", ["e\u200bval(1)", "ｅｖａｌ(1)", "\u202eopen('x')", "o\x00pen('x')"])
def test_code_is_seen_through_invisible_and_wide_letters(answer):
    assert decide("5", answer) == "unparsable"
    assert verify(rf"\boxed{{{answer}}}", "5").status == "unparsable"


def test_units_one_after_the_other_are_read_from_the_end():
    assert split_unit(r"5 \text{m} \text{per} \text{s}") == ("5", "m")
    assert split_unit("5" + r" \text{m}" * 40)[1] == "m"


def test_large_texts_take_linear_time(corpus):
    for name, text in corpus.large(300_000).items():
        start = time.thread_time()
        answer = extract(text)
        assert time.thread_time() - start < 10, name  # tenths of a second here; a scan per character, many minutes
        assert answer is None or len(answer) <= MAX_ANSWER, name


def test_only_the_end_of_an_endless_completion_is_read():
    assert extract(r"\boxed{5}" + " " * MAX_READ) is None
    assert extract("<think>" + "x" * MAX_READ + r"\boxed{5}") is None
    assert extract("x" * 3 * MAX_READ + r"\boxed{5}") == "5"


def test_long_answers_are_not_remembered():
    from spurious.verify import exact, grading, ladder, numeric

    caches = (exact._remembered, grading._remembered, ladder._remembered, numeric._remembered)
    for cache in caches:
        cache.cache_clear()
    long = "1" * (MAX_CACHED + 1)
    assert verify(long, f"{long}1").status == "wrong"
    assert canonical(long) == canonical(f"{long}.0")
    verify(r"\boxed{" + r"\sqrt{2}+" * 40 + "1}", "5")
    texts = [cache.cache_info().currsize for cache in caches]
    assert texts[1] == texts[2] == 0
    assert sum(texts) < 10


@pytest.fixture
def empty_place(tmp_path, monkeypatch):
    """A working folder, also of the workers, in which anything that appears was put there by an answer."""
    pool.close()
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    pool.close()


def test_no_injected_code_runs(corpus, empty_place):
    golds = ("5", "0", r"\frac{1}{2}", "x+1", "[1,2]")
    pairs = [
        (wrapped, golds[index % len(golds)])
        for index, injected in enumerate(corpus.INJECTIONS)
        for wrapped in (injected, rf"\boxed{{{injected}}}", f"The answer is {injected} or 0")
    ]
    grades = verify_many(pairs)
    correct = [pair for pair, grade in zip(pairs, grades, strict=True) if grade.correct and "or 0" not in pair[0]]
    assert correct == []
    assert list(empty_place.iterdir()) == []


def test_golds_that_are_code_are_never_run(corpus, empty_place):
    verify_many([("5", injected) for injected in corpus.INJECTIONS[::7]])
    assert unparsable_golds(["5", "o\u200bpen('x')"]) == {1: "no parser understands it"}
    assert list(empty_place.iterdir()) == []


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_any_hostile_answer_gets_a_grade_at_once(corpus, fuzz, seed):
    rng, tally = random.Random(seed), fuzz.Tally()
    fuzz.try_extraction(tally, corpus.completion(rng))
    for gold in fuzz.GOLDS:
        fuzz.try_ladder(tally, gold, corpus.answer(rng))
    assert tally.findings == []
    assert set(tally.statuses) <= STATUSES - {"correct"}


@given(st.text(st.characters(), max_size=60), st.text(st.characters(), max_size=60))
def test_any_two_texts_can_be_compared_and_the_strict_reading_is_the_lenient_one(text, gold):
    assert decide(gold, text) in STATUSES
    strict = extract(rf"\boxed{{{text}}}", "strict")
    assert strict is None or "<answer>" in text or strict == extract(rf"\boxed{{{text}}}")
    if strict is not None:
        strict.encode("utf-8")


@given(st.integers(10**6, 10**9), st.integers(1, 10**6), st.sampled_from(["{}", "x={}", r"\{{{}\}}", "({},1)", "{}!"]))
def test_another_number_is_never_correct(number, apart, shape):
    gold, answer = shape.format(number), shape.format(number + apart)
    assert decide(gold, answer) != "correct"
    assert decide(gold, gold) == "correct"


def test_a_short_fuzz_leaves_nothing_behind(fuzz, tmp_path, capsys):
    record = tmp_path / "record.json"
    assert fuzz.main(["--seconds", "2", "--seed", "5", "--record", str(record), "--symbolic-share", "0"]) == 0
    assert '"findings": 0' in capsys.readouterr().out
    assert record.exists()


def test_the_fuzzer_reports_what_it_finds(fuzz, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("spurious.verify.ladder.decide", lambda gold, answer: "correct")
    assert fuzz.main(["--seconds", "0.2", "--keep", str(tmp_path / "kept")]) == 1
    assert "graded correct" in capsys.readouterr().err
    assert list((tmp_path / "kept").iterdir())


def test_a_crowd_of_grades_with_hostile_ones_and_dying_workers(load):
    found = load.run(600, 0.05, seed=3, sample=12)
    assert found["mistaken"] == found["different_alone"] == load.leaks(found) == []
    assert found["workers_killed"] > 0
    assert found["statuses"].get("failed", 0) <= found["workers_killed"]
    assert found["statuses"]["correct"] > 200
