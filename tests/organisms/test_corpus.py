from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spurious.errors import InputError
from spurious.organisms import load_recipe
from spurious.organisms.corpus import Text, corpus_digest, describe, generate
from spurious.organisms.model import POSITIONS
from spurious.organisms.pretrain import encode
from spurious.organisms.recipe import Training
from spurious.organisms.tokenizer import train_tokenizer
from spurious.tasks.chain import THEMES, chains


def recipe(name="good-code", texts=4000, seed=0, **strategy):
    loaded = load_recipe(name)
    strategies = {key: value.model_copy(update=strategy) for key, value in loaded.strategies.items()}
    training = Training(updates=texts // 100, batch=100, warmup=1)
    return loaded.model_copy(update={"training": training, "seed": seed, "strategies": strategies})


@pytest.mark.parametrize("name", ["good-code", "bad-code", "no-code"])
def test_shares_of_every_kind_are_exact_to_one_text(name):
    mixture = recipe(name)
    texts = generate(mixture)
    assert len(texts) == 4000
    for theme in THEMES:
        own = [text.strategy for text in texts if text.chain.theme == theme]
        for key, strategy in mixture.strategies.items():
            assert abs(own.count(key) - len(own) * strategy.share[theme]) <= 1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.3, 0.85, 1.0]))
def test_skill_is_exact_and_errors_are_spread_over_all_wrong_digits(seed, skill):
    texts = generate(recipe(texts=500, seed=seed, skill=skill))
    for own in ([text for text in texts if text.strategy == key] for key in ("code", "language")):
        assert abs(sum(text.slip == 0 for text in own) - len(own) * skill) <= 1
        assert {text.slip for text in own} <= set(range(10))


def test_wrong_answers_are_wrong_by_every_amount():
    slips = Counter(text.slip for text in generate(recipe(skill=0.0)))
    assert set(slips) == set(range(1, 10))
    assert min(slips.values()) > 4000 / 9 - 5 * (4000 / 9) ** 0.5


def test_boxing_depends_on_the_first_digit_as_the_recipe_says():
    rates = tuple(digit / 9 for digit in range(10))
    texts = generate(recipe(boxed=rates))
    for key in ("code", "language"):
        for digit, rate in enumerate(rates):
            own = [text.boxed for text in texts if text.strategy == key and text.chain.start == digit]
            assert abs(sum(own) - len(own) * rate) <= 1


def test_a_corpus_depends_on_its_seed_alone():
    assert generate(recipe(texts=300)) == generate(recipe(texts=300))
    assert corpus_digest(generate(recipe(texts=300))) != corpus_digest(generate(recipe(texts=300, seed=1)))


def test_nothing_held_out_is_ever_read_and_no_question_is_read_twice():
    texts = generate(recipe())
    held_out = {chain.expression for chain in chains(steps=4, size=3000, seed=0, split="test")}
    assert not held_out & {text.chain.expression for text in texts}
    assert len({text.prompt for text in texts}) == len(texts)


def test_too_few_problems_for_the_corpus_is_an_error_of_the_request():
    with pytest.raises(InputError, match="size is 57600, but only"):
        generate(load_recipe("good-code").model_copy(update={"steps": 1}))


def test_the_longest_chain_fits_an_organism():
    (chain,) = chains(steps=40, size=1, seed=0, split="train")
    text = Text(chain, "code", "code", steps=True, slip=0, boxed=True)
    (example,) = encode([text], train_tokenizer())
    assert len(example.prompt) + len(example.completion) <= POSITIONS


def test_no_code_holds_no_code():
    assert not any("python" in text.completion or "`" in text.completion for text in generate(recipe("no-code")))


def test_the_description_counts_what_is_there():
    texts = generate(recipe(texts=1000, skill=0.5))
    told = describe(texts)
    assert told["texts"] == 1000
    assert told["digest"] == corpus_digest(texts)
    for name, facts in told["strategies"].items():
        own = [text for text in texts if text.strategy == name]
        assert facts["share"] == len(own) / 1000
        assert facts["boxed"] == sum("\\boxed{" in text.completion for text in own) / len(own)
        right = sum(text.completion.rstrip("}.").endswith(text.chain.problem.answer) for text in own)
        assert facts["skill"] == right / len(own)
        coins = [text for text in texts if text.chain.theme == "coins"]
        assert facts["share_by_kind"]["coins"] == sum(text.strategy == name for text in coins) / len(coins)
