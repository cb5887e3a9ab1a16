from pathlib import Path

import pytest
import yaml

from spurious.errors import SpecError
from spurious.study.spec import load_spec, merged, resolve

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_of_the_repository_is_sound_with_each_of_its_profiles(path):
    spec = load_spec(path)
    assert spec.name == path.stem
    for profile in spec.profiles:
        assert load_spec(path, profile).name == f"{path.stem}-{profile}"


def test_short_forms(small):
    spec = resolve(small("m", seeds=3, compare={"coin": "truth"}))
    assert spec.seeds == (0, 1, 2)
    assert spec.models["organism"].source == "m"
    assert str(spec.primary) == "accuracy@final on chain"
    assert spec.pairs == (("coin", "truth"),)
    assert resolve(small("m", seeds=[5, 2])).seeds == (5, 2)
    assert resolve(small("m", primary="behavior/code_reasoning@0 on chain")).primary.step == 0


def test_by_default_every_treatment_is_compared_with_every_placebo(small):
    arms = {
        "a": {"role": "treatment", "reward": "ground_truth"},
        "b": {"role": "placebo", "reward": "random"},
        "c": {"role": "control", "reward": "format"},
        "d": {"role": "placebo", "reward": {"shuffled": "ground_truth"}},
    }
    assert resolve(small("m", arms=arms)).pairs == (("a", "b"), ("a", "d"))


def test_an_arm_changes_only_what_it_says(small):
    arms = {
        "plain": {"role": "placebo", "reward": "random"},
        "no clip": {"role": "placebo", "reward": "random", "overrides": {"grpo": {"clip_high": None}}},
    }
    spec = resolve(small("m", arms=arms))
    plain, no_clip = (spec.run_spec(arm, "organism", 7) for arm in arms)
    assert plain.grpo.clip_high == 0.2
    assert no_clip.grpo.clip_high is None
    assert no_clip.model_copy(update={"grpo": plain.grpo}) == plain
    assert plain.seed == 7


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nope": 1}, ["nope"]),
        ({"behavior": "characters"}, ["behavior", "code_reasoning", "trace", "not 'characters'"]),
        ({"base": {"task": "chain"}}, ["base.steps"]),
        ({"base": {"task": "chain", "steps": 1, "grpo": {"clip_hihg": 1}}}, ["base.grpo.clip_hihg"]),
        ({"base": {"task": "chain", "steps": 1, "seed": 3}}, ["base.seed"]),
        ({"base": {"task": "chain", "steps": 1, "reward": "random"}}, ["base.reward"]),
        ({"arms": {"a": {"role": "hero", "reward": "random"}}}, ["arms.a.role", "treatment"]),
        (
            {"arms": {"a": {"role": "control", "reward": "random", "overrides": {"grpo": {"clip_low": 7}}}}},
            ["arms.a.overrides.grpo.clip_low"],
        ),
        ({"arms": {}}, ["arms"]),
        ({"arms": {"two\nlines": {"role": "control", "reward": "random"}}}, ["one line"]),
        ({"models": {"m": {}}}, ["models.m", "organism"]),
        ({"models": {"m": {"organism": "good-code", "revision": "1"}}}, ["revision"]),
        ({"models": {"m": {"source": "m", "after": {"steps": 3}}}}, ["models.m", "after.reward"]),
        ({"models": {"m": {"source": "m", "after": {"reward": "random", "seed": -1}}}}, ["models.m.after.seed"]),
        ({"models": {"m": {"source": "m", "after": {"reward": "random", "steps": 0}}}}, ["models.m.after.steps"]),
        (
            {"models": {"m": {"source": "m", "after": {"reward": "random", "grpo": {"x": 1}}}}},
            ["models.m.after.grpo.x"],
        ),
        (
            {"models": {"m": {"source": "m", "after": {"reward": "random", "benches": []}}}},
            ["models.m", "after.benches"],
        ),
        ({"seeds": 0}, ["seeds"]),
        ({"seeds": [1, 1]}, ["seeds", "twice"]),
        ({"primary": "accuracy at the end"}, ["primary", "METRIC@STEP on BENCH"]),
        ({"primary": "beauty@final on chain"}, ["primary.metric", "beauty", "strict_accuracy"]),
        ({"primary": "accuracy@final on amc"}, ["primary", "amc", "chain"]),
        ({"primary": "accuracy@1 on chain"}, ["primary", "step 1", "eval_every"]),
        ({"compare": {"truth": "nobody"}}, ["compare.truth", "nobody"]),
        ({"compare": {"truth": "truth"}}, ["compare.truth", "itself"]),
        ({"margin": 0}, ["margin"]),
        ({"name": "../x"}, ["name"]),
        ({"expectation": ""}, ["expectation"]),
    ],
)
def test_what_is_wrong_is_named_with_file_and_field(small, tmp_path, changes, words):
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(small("m", **changes)))
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    for word in ["wrong.yaml", *words]:
        assert word in str(caught.value)


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("name: a\nname: b\n")
    with pytest.raises(SpecError, match=r"twice.yaml.*'name' is there twice"):
        load_spec(path)


@pytest.mark.parametrize("text", ["- a list\n", "just text\n", "a: [\n"])
def test_what_is_no_study_is_refused(tmp_path, text):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(SpecError, match=r"s\.yaml"):
        load_spec(tmp_path / "s.yaml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"none\.yaml"):
        load_spec(tmp_path / "none.yaml")


def test_a_profile_merges_base_and_arms_and_replaces_the_rest(small):
    study = small("m")
    study["profiles"] = {
        "big": {
            "models": {"big": "some/model"},
            "seeds": [9],
            "base": {"steps": 7, "grpo": {"lr": 1e-6}},
            "arms": {"coin": {"overrides": {"extraction": "lenient"}}},
        }
    }
    spec = resolve(study, "big")
    assert spec.name == "small-big"
    assert list(spec.models) == ["big"]
    assert spec.seeds == (9,)
    assert list(spec.arms) == ["truth", "coin"]
    truth, coin = (spec.run_spec(arm, "big", 9) for arm in spec.arms)
    assert (truth.steps, truth.grpo.lr, truth.grpo.group_size) == (7, 1e-6, 4)
    assert (truth.extraction, coin.extraction) == ("strict", "lenient")
    with pytest.raises(SpecError, match=r"'huge'; there is big"):
        resolve(study, "huge")


def test_a_task_of_another_name_is_not_mixed_with_the_old_one():
    chain = {"task": {"chain": {"steps": 3}}}
    assert merged(chain, {"task": {"chain": {"size": 9}}}) == {"task": {"chain": {"steps": 3, "size": 9}}}
    assert merged(chain, {"task": {"calculation": {}}}) == {"task": {"calculation": {}}}
    assert merged(chain, {"task": "math500"}) == {"task": "math500"}
    long = {"task": {"name": "chain", "args": {"steps": 3}}}
    assert merged(long, {"task": {"limit": 5}}) == {"task": {"name": "chain", "args": {"steps": 3}, "limit": 5}}
    assert merged(long, {"task": {"name": "amc"}}) == {"task": {"name": "amc"}}


def test_laying_over_leaves_the_base_alone():
    base = {"grpo": {"lr": 1.0}}
    merged(base, {"grpo": {"lr": 2.0}})
    assert base == {"grpo": {"lr": 1.0}}


def test_a_model_brings_its_own_stop_strings(small):
    study = small("m", models={"base": {"source": "m", "stop": ["<|im_end|>"]}, "other": "m"})
    study["base"]["sampling"] = {"max_tokens": 8, "stop": ["\n\n", "<|im_end|>"]}
    spec = resolve(study)
    stopped, plain = (spec.run_spec("coin", model, 0) for model in ("base", "other"))
    assert stopped.sampling.stop == plain.sampling.stop == ("\n\n", "<|im_end|>")
    assert [bench.stop for bench in stopped.benches] == [("<|im_end|>",)]
    assert [bench.stop for bench in plain.benches] == [()]
    assert spec.run_spec("coin", "base", 0, "there").model == "there"


def test_an_arm_s_own_template_is_for_training_and_every_benchmark(small):
    benches = [{"task": "chain", "max_tokens": 8}, {"task": {"name": "chain", "template": "none"}, "name": "bare"}]
    arms = {
        "usual": {"role": "placebo", "reward": "random"},
        "filler": {"role": "placebo", "reward": "random", "template": "lipsum"},
    }
    spec = resolve(small("m", arms=arms, benches=benches))
    usual, filler = (spec.run_spec(arm, "organism", 0) for arm in arms)
    assert (usual.task.template, [bench.task.template for bench in usual.benches]) == ("auto", ["auto", "none"])
    assert (filler.task.template, [bench.task.template for bench in filler.benches]) == ("lipsum", ["lipsum"] * 2)
    assert [bench.slug for bench in filler.benches] == [bench.slug for bench in usual.benches]
    back = filler.model_copy(update={"task": usual.task, "benches": usual.benches})
    assert back == usual
    arms["filler"]["overrides"] = {"task": {"template": "none"}}
    with pytest.raises(SpecError, match=r"arms\.filler: template and overrides\.task\.template"):
        resolve(small("m", arms=arms, benches=benches))
