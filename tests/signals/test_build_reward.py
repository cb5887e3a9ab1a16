import re
from datetime import date

import pytest

from spurious.errors import SpecError
from spurious.signals import build_reward
from spurious.specs import RewardSpec


def build(form):
    return build_reward(RewardSpec.model_validate(form))


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("fromat", r"reward\.name: unknown reward 'fromat'; there are ground_truth, .*format"),
        ({"random": {"gama": 0.5}}, r"reward \(random\)\.args\.gama: unknown parameter; there is gamma"),
        ({"format": {"strict": True}}, r"reward \(format\)\.args\.strict: unknown parameter; there is none"),
        ({"random": {"gamma": 2}}, r"reward: random: gamma is a probability"),
        ({"random": ["format"]}, r"reward \(random\)\.of: takes no rewards inside, not 1"),
        ({"not_": ["format", "format"]}, r"reward \(not_\)\.of: takes exactly one reward inside, not 2"),
        ("shuffled", r"reward \(shuffled\)\.of: takes exactly one reward inside, not 0"),
        ({"name": "weighted", "of": ["format"]}, r"reward \(weighted\)\.args\.weights: missing"),
        ({"all_of": []}, r"reward: all_of: there must be at least one"),
        ({"all_of": ["format", {"not_": "pyton"}]}, r"reward\.of\[1\]\.of\[0\]\.name: unknown reward 'pyton'"),
        ({"all_of": ["format", {"constant": {"value": "x"}}]}, r"reward\.of\[1\]: constant: value must be a finite"),
    ],
)
def test_a_wrong_specification_is_refused_by_field(form, message):
    with pytest.raises(SpecError, match=message):
        build(form)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("ground_truth", "ground_truth"),
        ("random", "random"),
        ({"random": {"gamma": 0.001}}, "random-0.001"),
        ({"shuffled": "ground_truth"}, "shuffled-ground_truth"),
        ({"all_of": ["format", {"not_": "python_mention"}]}, "all_of-format-not_-python_mention"),
        (
            {"name": "weighted", "args": {"weights": [1, -0.5]}, "of": ["format", "random"]},
            "weighted-format-random-1-0.5",
        ),
    ],
)
def test_names_are_short_and_fit_for_directories(form, name):
    assert build(form).name == name


def test_long_names_are_cut():
    name = build({"all_of": ["no_repetition"] * 9}).name
    assert len(name) <= 40
    assert re.fullmatch(r"[a-z0-9_.-]+", name)


def test_the_digest_is_of_what_is_paid():
    assert build("random").digest == build({"random": {"gamma": 0.5}}).digest
    different = [
        "random",
        {"random": {"gamma": 0.25}},
        "constant",
        {"not_": "random"},
        {"shuffled": "random"},
        {"all_of": ["random", "format"]},
        {"all_of": ["format", "random"]},
    ]
    assert len({build(form).digest for form in different}) == len(different)


def test_parameters_that_are_no_plain_data_are_refused(tmp_path):
    (tmp_path / "mine.py").write_text("def reward(completions, *, since): return []")
    spec = RewardSpec(name="mine.py:reward", args={"since": date(2026, 1, 1)})
    with pytest.raises(SpecError, match=r"reward\.args: parameters must be plain data: .*date"):
        build_reward(spec, tmp_path)


def test_a_combination_needs_what_its_parts_need():
    form = {"name": "weighted", "args": {"weights": [1, 1]}, "of": ["negative_entropy", {"shuffled": "self_certainty"}]}
    assert build(form).needs == {"entropies", "self_certainties"}
    assert build({"all_of": ["format", "random"]}).needs == frozenset()


def test_built_in_rewards_have_no_source():
    assert build({"all_of": ["format", "random"]}).source is None
