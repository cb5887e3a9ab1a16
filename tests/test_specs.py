import pytest
from pydantic import ValidationError

from spurious.specs import BenchSpec, GrpoSpec, LabelSpec, LoraSpec, PolicySpec, RewardSpec, RunSpec, TaskSpec

RUN = {"model": "m", "task": "chain", "reward": "random", "steps": 1}


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("random", {"name": "random"}),
        ({"random": {"gamma": 0.5}}, {"name": "random", "args": {"gamma": 0.5}}),
        ('{"random": {"gamma": 0.5}}', {"name": "random", "args": {"gamma": 0.5}}),
        ("{not_: python_mention}", {"name": "not_", "of": [{"name": "python_mention"}]}),
        (
            {"all_of": ["format", {"not_": "python_mention"}]},
            {"name": "all_of", "of": [{"name": "format"}, {"name": "not_", "of": [{"name": "python_mention"}]}]},
        ),
        (
            {"weighted": {"of": ["format", "random"], "weights": [1, 2]}},
            {"name": "weighted", "args": {"weights": [1, 2]}, "of": [{"name": "format"}, {"name": "random"}]},
        ),
        ("mine.py:pay", {"name": "mine.py:pay"}),
    ],
)
def test_short_forms_mean_the_long_one(short, long):
    assert RewardSpec.model_validate(short) == RewardSpec.model_validate(long)


def test_a_broken_document_is_named():
    with pytest.raises(ValidationError, match="not readable as YAML or JSON"):
        RewardSpec.model_validate('{"random": ')


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"stepps": 1}, "stepps"),
        ({"grpo": {"clip_hihg": 1}}, "clip_hihg"),
        ({"grpo": {"group_size": 1}}, "group_size"),
        ({"grpo": {"clip_low": 1.5}}, "clip_low"),
        ({"grpo": {"lr": float("nan")}}, "lr"),
        ({"seed": -1}, "seed"),
        ({"policy": {"lora": {"rank": 2}}}, "rank"),
        ({"policy": {"lora": {"r": 0}}}, "lora.r"),
        ({"trl": {"lora": {"lora_dropout": 0.1}}}, "policy.lora.lora_dropout"),
        ({"sampling": {"temperature": -0.1}}, "temperature"),
        ({"benches": [{"task": "chain", "name": "../evil"}]}, "name"),
    ],
)
def test_a_wrong_field_is_refused_by_name(change, field):
    with pytest.raises(ValidationError, match=field):
        RunSpec.model_validate({**RUN, **change})


@pytest.mark.parametrize("word", ["none", "None", "null", None])
def test_none_is_sayable(word):
    assert GrpoSpec.model_validate({"clip_high": word}).clip_high is None


def test_an_adapter_has_short_forms():
    def lora(value):
        return RunSpec.model_validate({**RUN, "policy": {"lora": value}}).policy.lora

    assert lora("none") is None
    assert lora("{}") == lora({}) == LoraSpec()
    assert lora('{"r": 4, "target_modules": "q_proj"}') == LoraSpec(r=4, target_modules=("q_proj",))


def test_manifests_of_before_are_read():
    older = {"trl": {"sampler": "own", "vllm": {}, "lora": None, "gradient_checkpointing": False}}
    assert RunSpec.model_validate({**RUN, **older}) == RunSpec.model_validate(RUN)
    used = {"trl": {"lora": {"r": 2}, "gradient_checkpointing": True}}
    assert RunSpec.model_validate({**RUN, **used}).policy == PolicySpec(lora=LoraSpec(r=2), gradient_checkpointing=True)


def test_specs_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        RunSpec.model_validate(RUN).steps = 2  # type: ignore[misc]


def test_two_benches_may_not_share_a_file():
    with pytest.raises(ValidationError, match="filed as 'chain'"):
        RunSpec.model_validate({**RUN, "benches": ["chain", {"task": {"chain": {"steps": 6}}}]})
    RunSpec.model_validate({**RUN, "benches": ["chain", {"task": {"chain": {"steps": 6}}, "name": "chain-6"}]})


@pytest.mark.parametrize(
    ("spec", "slug", "temperature"),
    [
        (BenchSpec(task=TaskSpec(name="math500")), "math500", 0.0),
        (BenchSpec(task=TaskSpec(name="amc"), k=8), "amc-k8", 0.6),
        (BenchSpec(task=TaskSpec(name="some/where/my set.jsonl"), k=8, temperature=1.0), "my_set-k8", 1.0),
        (BenchSpec(task=TaskSpec(name="gym:chain_sum")), "gym_chain_sum", 0.0),
    ],
)
def test_benches_have_names_and_the_papers_temperatures(spec, slug, temperature):
    assert spec.slug == slug
    assert spec.sampling.temperature == temperature


def test_labels_and_tasks_have_short_forms_too():
    assert LabelSpec.model_validate({"noise": {"p": 0.2}}) == LabelSpec(name="noise", args={"p": 0.2})
    assert TaskSpec.model_validate({"chain": {"steps": 6}}).args == {"steps": 6}
