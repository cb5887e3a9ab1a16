import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spurious.errors import InputError
from spurious.tasks.chain import OPERATORS, THEMES, Chain, build, chains

CHAINS = st.builds(
    Chain,
    st.sampled_from(THEMES),
    st.integers(0, 9),
    st.lists(st.tuples(st.sampled_from(OPERATORS), st.integers(1, 9)), min_size=1, max_size=6).map(tuple),
)


def test_a_worked_example():
    chain = Chain("marbles", 3, (("+", 4), ("*", 7), ("-", 2), ("+", 5)))
    assert chain.values == (7, 9, 7, 2)
    problem = chain.problem
    assert problem.question == "Count marbles left to right, mod ten: 3+4*7-2+5=?"
    assert (problem.answer, problem.kind, problem.source) == ("2", "marbles", "chain")
    assert problem.metadata == {"steps": 4, "values": [7, 9, 7, 2]}


def test_differences_wrap_around_to_a_digit():
    assert Chain("coins", 1, (("-", 4), ("-", 9))).values == (7, 8)


@given(CHAINS)
def test_reducing_at_every_step_equals_reducing_once(chain):
    total = chain.start
    for operator, operand in chain.operations:
        total = {"+": total + operand, "-": total - operand, "*": total * operand}[operator]
    assert chain.values[-1] == total % 10


@given(CHAINS, st.sampled_from(THEMES))
def test_the_split_ignores_the_theme(chain, theme):
    assert Chain(theme, chain.start, chain.operations).split == chain.split


def expressions(problems):
    return {re.search(r": (.*)=\?", problem.question).group(1) for problem in problems}


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_train_and_test_share_no_chain_for_any_two_seeds(steps):
    size = 60 if steps == 1 else 400
    train = build(steps=steps, size=size, seed=0, split="train")
    for seed in (0, 1):
        assert not expressions(train) & expressions(build(steps=steps, size=size, seed=seed, split="test"))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.sampled_from(["train", "test"]))
def test_problems_are_distinct_repeatable_and_as_long_as_asked(seed, steps, split):
    problems = build(steps=steps, size=40, seed=seed, split=split)
    assert len({problem.id for problem in problems}) == 40
    assert problems == build(steps=steps, size=40, seed=seed, split=split)
    assert problems[:7] == build(steps=steps, size=7, seed=seed, split=split)
    assert all(problem.question.count("=?") == 1 and len(problem.metadata["values"]) == steps for problem in problems)


def test_another_seed_gives_other_problems():
    first, second = (expressions(build(size=200, seed=seed)) for seed in (0, 1))
    assert len(first & second) < 5


def test_the_id_is_a_hash_of_question_and_answer():
    problem = build(size=1)[0]
    content = f"{problem.question}\x00{problem.answer}".encode()
    assert problem.id == hashlib.sha256(content).hexdigest()[:16]


def test_themes_digits_and_operators_are_uniform():
    found = chains(steps=2, size=8000, seed=4, split="train")
    for values, bins in (
        ([chain.theme for chain in found], 8),
        ([chain.start for chain in found], 10),
        ([chain.operations[0][0] for chain in found], 3),
        ([chain.operations[1][1] for chain in found], 9),
    ):
        expected = len(values) / bins
        # Five standard deviations of a binomial count.
        assert all(abs(values.count(v) - expected) < 5 * expected**0.5 for v in set(values))
        assert len(set(values)) == bins


def test_one_chain_in_eight_is_held_out():
    every = [
        Chain("coins", a, ((f, b), (g, c)))
        for a in range(10)
        for f in "+-*"
        for b in range(1, 10)
        for g in "+-*"
        for c in range(1, 10)
    ]
    share = sum(chain.split == "test" for chain in every) / len(every)
    assert share == pytest.approx(1 / 8, abs=5 * (7 / 64 / len(every)) ** 0.5)


def test_all_problems_of_one_step_can_be_had_but_not_one_more():
    every = [Chain(theme, a, ((f, b),)) for theme in THEMES for a in range(10) for f in "+-*" for b in range(1, 10)]
    held_out = {chain for chain in every if chain.split == "test"}
    assert set(chains(steps=1, size=len(held_out), seed=3, split="test")) == held_out
    with pytest.raises(InputError, match=rf"size is {len(held_out) + 1}, but only {len(held_out)} test problems"):
        chains(steps=1, size=len(held_out) + 1, seed=3, split="test")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"steps": 0}, "steps"), ({"size": 0}, "size"), ({"split": "dev"}, "split .*train, test.*'dev'")],
)
def test_a_bad_argument_is_named(arguments, named):
    with pytest.raises(InputError, match=named):
        build(**arguments)
