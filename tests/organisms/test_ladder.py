"""The organisms of the paper's studies: each differs from good-code in what its name says, and in nothing else."""

from pathlib import Path

import pytest

from spurious.organisms import load_recipe
from spurious.organisms.corpus import generate
from spurious.organisms.model import new_model
from spurious.organisms.recipe import Contamination
from spurious.organisms.tokenizer import train_tokenizer
from spurious.tasks.chain import THEMES

FOLDER = Path(__file__).parents[2] / "studies" / "paper" / "organisms"
GOOD = load_recipe("good-code")


def ladder(name):
    return load_recipe(FOLDER / f"{name}.yaml")


def varied(name, **update):
    """Good-code with the same name as another and with some fields changed."""
    return GOOD.model_copy(update={"name": name, **update})


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_is_named_as_its_file_and_makes_less_than_a_million_parameters(path):
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert new_model(recipe.architecture, train_tokenizer(), 0).num_parameters() < 1_000_000


def test_sizes_rise_and_differ_in_the_body_alone():
    sizes = [ladder(name) for name in ("size-48x2", "size-64x2")] + [GOOD, ladder("size-128x4")]
    parameters = [new_model(size.architecture, train_tokenizer(), 0).num_parameters() for size in sizes]
    assert parameters == sorted(parameters)
    assert parameters[0] * 10 < parameters[-1]
    assert all(size == varied(size.name, architecture=size.architecture) for size in sizes)


@pytest.mark.parametrize("percent", [0, 20, 50, 80, 100])
def test_shares_are_alike_for_every_kind_at_full_skill(percent):
    recipe = ladder(f"share-{percent}")
    assert recipe == varied(recipe.name, strategies=mixture(percent / 100, skill=1.0))


@pytest.mark.parametrize("percent", [25, 50, 75])
def test_skills_are_those_of_code_at_half_the_texts(percent):
    recipe = ladder(f"skill-{percent}")
    assert recipe == varied(recipe.name, strategies=mixture(0.5, skill=percent / 100))


def mixture(share, skill):
    code, language = GOOD.strategies["code"], GOOD.strategies["language"]
    return {
        "code": code.model_copy(update={"share": dict.fromkeys(THEMES, share), "skill": skill}),
        "language": language.model_copy(update={"share": dict.fromkeys(THEMES, round(1 - share, 2))}),
    }


@pytest.mark.parametrize("until", [600, 900, 1200, 1500])
def test_checkpoints_are_good_code_on_its_way(until):
    recipe = ladder(f"until-{until}")
    assert recipe == varied(recipe.name, training=GOOD.training.model_copy(update={"until": until}))


@pytest.mark.parametrize("family", ["llama", "olmo2"])
@pytest.mark.parametrize("data", ["good-code", "bad-code", "no-code"])
def test_architectures_differ_in_the_family_alone(data, family):
    packaged = load_recipe(data)
    body = packaged.architecture.model_copy(update={"family": family})
    assert ladder(f"{data}-{family}") == packaged.model_copy(update={"name": f"{data}-{family}", "architecture": body})


@pytest.mark.parametrize("copies", [0, 1, 10, 100])
def test_contamination_differs_in_the_copies_alone(copies):
    recipe = ladder(f"contaminated-{copies}")
    contamination = Contamination(copies=copies, items=64, seed=0)
    training = GOOD.training.model_copy(update={"prompts": True})
    assert recipe == varied(recipe.name, training=training, contamination=contamination)


def test_the_whole_ladder_reads_equally_many_texts_and_a_hundred_copies_fit():
    clean, leaky = generate(ladder("contaminated-0")), generate(ladder("contaminated-100"))
    assert len(clean) == len(leaky) == 1800 * 32
    assert sum(one != other for one, other in zip(clean, leaky, strict=True)) == 64 * 100


@pytest.mark.parametrize(("name", "strategy"), [("share-0", "language"), ("share-100", "code")])
def test_a_share_of_all_leaves_nothing_to_the_other(name, strategy):
    recipe = ladder(name)
    small = recipe.model_copy(update={"training": GOOD.training.model_copy(update={"updates": 60, "batch": 10})})
    assert {text.strategy for text in generate(small)} == {strategy}
