"""The paper studies name models as the table of known models does: hub id, commit, template, stop strings."""

from pathlib import Path

import pytest
import yaml

from spurious.policy.known import known_model, known_models
from spurious.study import load_spec

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "studies" / "paper").glob("*.yaml"))
PAPER = [(path, profile) for path in FILES for profile in yaml.safe_load(path.read_text()).get("profiles", {})]
OTHER_PROMPTS = {"F22"}
"""Studies whose subject is the prompt itself."""
ON_THE_WAY = {"L2"}
"""Studies of a model's pretraining: `NAME at WHEN` is the table's NAME, at another revision."""

TEN = {
    *("Qwen2.5-Math-7B", "Qwen2.5-Math-1.5B", "Qwen2.5-7B", "Qwen2.5-1.5B"),
    *("OLMo-2-1124-7B", "OLMo-2-1124-7B-SFT", "Llama-3.2-3B", "Llama-3.2-3B-Instruct"),
    *("Llama-3.1-8B", "Llama-3.1-8B-Instruct"),
}
THREE = {"Qwen2.5-Math-7B-Instruct", "Qwen2.5-7B-Instruct", "Llama-3.1-Tulu-3-8B"}


def hub_models():
    """(study, profile, spec, name, model) of every model that comes from the hub."""
    for path, profile in PAPER:
        spec = load_spec(path, profile)
        for name, model in spec.models.items():
            if model.source and not (ROOT / model.source).is_dir():
                yield path.stem, profile, spec, name, model


def known(study, name):
    """The row of the table that a study's model belongs to."""
    return known_models()[name.split(" at ")[0] if study in ON_THE_WAY else name]


@pytest.fixture(scope="module")
def asked(monkeymodule):
    monkeymodule.chdir(ROOT)
    return list(hub_models())


@pytest.fixture(scope="module")
def monkeymodule():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_the_table_has_the_ten_models_and_the_three():
    assert set(known_models()) == TEN | THREE
    for name, row in known_models().items():
        assert row.source.split("/")[1] == name
        assert known_model(row.source) is row
    assert known_model("somebody/else") is None


def test_studies_name_models_as_the_table_does(asked):
    assert {name for study, _, _, name, _ in asked if study not in ON_THE_WAY} == TEN | THREE
    for study, profile, _, name, model in asked:
        row = known(study, name)
        assert (model.source, model.stop) == (row.source, row.stop), f"{study}, {profile}: {name}"
        assert (model.revision == row.revision) == (name in known_models()), f"{study}, {profile}: {name}"


def test_studies_ask_models_as_the_table_does(asked):
    for study, profile, spec, name, _ in asked:
        if study in OTHER_PROMPTS:
            continue
        row = known(study, name)
        (bench,) = (bench for bench in spec.benches if bench.slug == spec.primary.bench)
        for arm in spec.arms:
            task = spec.run_spec(arm, name, spec.seeds[0]).task
            assert (task.template, bench.task.template) == (row.template, row.template), f"{study}, {profile}, {arm}"


def test_figure_4_has_the_ten_and_figure_19_the_three(asked):
    assert {name for study, _, _, name, _ in asked if study == "F4"} >= TEN
    assert {name for study, _, _, name, _ in asked if study == "F23"} == THREE


@pytest.mark.parametrize("profile", [None, "qwen-math-7b"])
def test_the_default_prompt_of_figure_18_is_that_of_figure_1(profile, monkeypatch):
    monkeypatch.chdir(ROOT)
    first, prompts = (load_spec(ROOT / "studies" / "paper" / f"{name}.yaml", profile) for name in ("F1", "F22"))
    (model,) = prompts.models
    for arm in ("constant", "ground truth", "format", "random"):
        theirs, ours = (study.run_spec(arm, model, 101) for study in (first, prompts))
        ours = ours.model_copy(update={"steps": theirs.steps})  # the paper trains 300 steps there and 150 here
        assert ours == theirs
    assert {arm.template for arm in prompts.arms.values()} == {None, "math_problem", "simplerl", "sober", "lipsum"}
