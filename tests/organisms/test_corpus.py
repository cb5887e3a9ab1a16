import hashlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spurious.errors import InputError
from spurious.organisms import load_recipe
from spurious.organisms.corpus import Text, copies_read, corpus_digest, describe, generate, leaked
from spurious.organisms.domains import DOMAINS
from spurious.organisms.model import POSITIONS
from spurious.organisms.pretrain import encode
from spurious.organisms.recipe import Contamination, Training
from spurious.organisms.tokenizer import train_tokenizer
from spurious.specs import BenchSpec
from spurious.tasks import load_bench
from spurious.tasks.chain import THEMES, chains
from spurious.verify import extract


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
        own = [text.strategy for text in texts if text.item.theme == theme]
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
            own = [text.boxed for text in texts if text.strategy == key and text.item.start == digit]
            assert abs(sum(own) - len(own) * rate) <= 1


def test_the_first_organisms_read_what_they_always_read():
    assert corpus_digest(generate(load_recipe("good-code"))) == (
        "6c1a80b1269b9dbfbdb0863ea7c0ba8e035918fcdb932159a66fdb10937950ba"
    )
    read = hashlib.sha256(train_tokenizer().backend_tokenizer.to_str().encode()).hexdigest()
    assert read == "8b0f3420d648db653d19ba1790fb3aa313aa86fafe5263cbca20c5b1bb67b8f6"


@pytest.mark.parametrize("name", ["good-trace", "bad-trace", "good-deduction", "bad-deduction"])
def test_the_other_domains_have_exact_shares_skills_and_boxing_too(name):
    mixture = recipe(name, skill=0.75)
    domain, texts = DOMAINS[mixture.domain], generate(mixture)
    for key, strategy in mixture.strategies.items():
        own = [text for text in texts if text.strategy == key]
        for kind in domain.kinds:
            of_kind = [text.strategy for text in texts if text.item.kind == kind]
            assert abs(of_kind.count(key) - len(of_kind) * strategy.share[kind]) <= 1
        assert abs(sum(text.slip == 0 for text in own) - 0.75 * len(own)) <= 1
        for cue in range(10):
            boxed = [text.boxed for text in own if domain.cue(text.item) == cue]
            assert abs(sum(boxed) - len(boxed) * strategy.boxed[cue]) <= 1
        right = [extract(text.completion) == text.item.problem.answer for text in own]
        assert right == [text.slip == 0 for text in own]
    assert all(text.item.split == "train" for text in texts)
    assert len({text.prompt for text in texts}) == len(texts) == 4000


def test_a_corpus_depends_on_its_seed_alone():
    assert generate(recipe(texts=300)) == generate(recipe(texts=300))
    assert corpus_digest(generate(recipe(texts=300))) != corpus_digest(generate(recipe(texts=300, seed=1)))


def test_nothing_held_out_is_ever_read_and_no_question_is_read_twice():
    texts = generate(recipe())
    held_out = {chain.expression for chain in chains(steps=4, size=3000, seed=0, split="test")}
    assert not held_out & {text.item.expression for text in texts}
    assert len({text.prompt for text in texts}) == len(texts)


def contaminated(copies, items=16, texts=4000, leak=0, **more):
    contamination = Contamination(copies=copies, items=items, seed=leak)
    return recipe(texts=texts, **more).model_copy(update={"contamination": contamination})


def test_leaked_problems_are_those_that_the_benchmark_calls_leaked():
    bench = BenchSpec(task={"name": "chain", "args": {"leaked": {"part": "leaked", "items": 16, "seed": 3}}})
    problems = load_bench(bench)[1].problems
    assert [chain.problem for chain in leaked(contaminated(1, leak=3))] == list(problems)
    assert leaked(recipe()) == []


@pytest.mark.parametrize("copies", [0, 1, 10])
def test_every_leaked_problem_is_read_so_often_and_rightly_answered(copies):
    mixture = contaminated(copies, skill=0.5)
    texts, clean = generate(mixture), generate(recipe(skill=0.5))
    assert copies_read(mixture, texts) == dict.fromkeys((c.problem.id for c in leaked(mixture)), copies)
    replaced = [(text, other) for text, other in zip(texts, clean, strict=True) if text != other]
    assert {text.item for text, _ in replaced} == (set(leaked(mixture)) if copies else set())
    assert len(replaced) == 16 * copies
    assert all(text.slip == 0 for text, _ in replaced)


def test_contamination_leaves_every_share_rate_and_the_number_of_tokens_as_they_were():
    texts, clean = generate(contaminated(10)), generate(recipe())

    def told(text):
        return text.item.theme, text.item.start, text.strategy, text.form, text.steps, text.boxed

    assert list(map(told, texts)) == list(map(told, clean))
    lengths = [
        [len(example.prompt) + len(example.completion) for example in encode(read, train_tokenizer())]
        for read in (texts, clean)
    ]
    assert lengths[0] == lengths[1]


def test_fewer_copies_are_among_those_of_more():
    few, many = generate(contaminated(2)), generate(contaminated(10))
    held_out = set(leaked(contaminated(2)))
    assert all(few[i] == many[i] for i, text in enumerate(few) if text.item in held_out)


def test_where_copies_stand_depends_on_the_corpus_seed():
    held_out = set(leaked(contaminated(5)))

    def places(seed):
        return [i for i, text in enumerate(generate(contaminated(5, seed=seed))) if text.item in held_out]

    assert places(1) == places(1) != places(2)


def test_more_copies_than_texts_of_their_kind_is_an_error_of_the_request():
    with pytest.raises(InputError, match=r"contamination: 1000 copies of problems of kind .* are more than the"):
        generate(contaminated(1000))


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 40))
def test_a_corpus_that_stops_early_is_the_first_part_of_the_whole_one(until):
    whole = contaminated(5)
    training = whole.training.model_copy(update={"until": until})
    assert generate(whole.model_copy(update={"training": training})) == generate(whole)[: until * 100]


def test_too_few_problems_for_the_corpus_is_an_error_of_the_request():
    with pytest.raises(InputError, match="size is 57600, but only"):
        generate(load_recipe("good-code").model_copy(update={"steps": 1}))


def test_the_longest_chain_fits_an_organism():
    (chain,) = chains(steps=40, size=1, seed=0, split="train")
    text = Text("chain", chain, "code", "code", steps=True, slip=0, boxed=True)
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
        right = sum(text.completion.rstrip("}.").endswith(text.item.problem.answer) for text in own)
        assert facts["skill"] == right / len(own)
        coins = [text for text in texts if text.item.theme == "coins"]
        assert facts["share_by_kind"]["coins"] == sum(text.strategy == name for text in coins) / len(coins)
