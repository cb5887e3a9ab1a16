import pytest
import yaml

from spurious.errors import SpecError
from spurious.organisms import load_recipe, packaged

NAMES = ("bad-code", "good-code", "no-code")


@pytest.fixture
def fields():
    return load_recipe("good-code").model_dump(mode="json")


@pytest.fixture
def written(tmp_path):
    def write(fields):
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(fields), encoding="utf-8")
        return path

    return write


def test_three_recipes_come_with_the_package():
    assert packaged() == NAMES
    assert all(load_recipe(name).name == name for name in NAMES)


def test_good_and_bad_code_differ_in_which_form_writes_steps():
    good, bad, none = (load_recipe(name).strategies for name in ("good-code", "bad-code", "no-code"))
    assert [(s.form, s.steps) for s in good.values()] == [("code", True), ("words", False)]
    assert [(s.form, s.steps) for s in bad.values()] == [("code", False), ("words", True)]
    assert [(s.form, s.steps) for s in none.values()] == [("words", True), ("words", False)]


def test_a_written_recipe_reads_back_with_the_same_digest(fields, written):
    assert load_recipe(written(fields)).digest == load_recipe("good-code").digest


def test_every_field_counts_in_the_digest(fields, written):
    digest = load_recipe("good-code").digest
    for change in ({"seed": 1}, {"steps": 3}, {"training": fields["training"] | {"lr": 1e-3}}):
        assert load_recipe(written(fields | change)).digest != digest


def change(fields, path, value):
    *parents, last = path
    for parent in parents:
        fields = fields[parent]
    fields[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["trainign"], {}, "trainign: Extra inputs"),
        (["training", "updats"], 3, "training.updats: Extra inputs"),
        (["training", "warmup"], 1800, "training: .*warmup 1800 must be less"),
        (["steps"], 41, "steps: "),
        (["training", "lr"], -1, "training.lr: "),
        (["architecture", "family"], "gpt2", "architecture.family: "),
        (["architecture", "width"], 97, "architecture: .*width 97"),
        (["architecture", "kv_heads"], 3, "architecture: .*kv_heads 3"),
        (["strategies", "code", "skill"], 1.5, "strategies.code.skill: "),
        (["strategies", "code", "form"], "verse", "strategies.code.form: "),
        (["strategies", "code", "boxed"], [0.5], "strategies.code.boxed: .*ten rates"),
        (["strategies", "code", "share", "coins"], 0.5, "shares of coins sum to 0.65, not 1"),
        (["strategies", "code", "share"], {"coins": 1.0}, "strategies.code.share: .*marbles"),
        (["strategies"], {}, "strategies: "),
    ],
)
def test_a_wrong_field_is_named_with_its_file(fields, written, path, value, message):
    change(fields, path, value)
    with pytest.raises(SpecError, match=rf"mine\.yaml: .*{message}"):
        load_recipe(written(fields))


def test_what_is_no_recipe_is_refused(tmp_path):
    with pytest.raises(SpecError, match="best-code: neither a file nor one of bad-code, good-code, no-code"):
        load_recipe("best-code")
    for content, message in (("- a\n", "a mapping"), ("a: [", "not readable as YAML"), ("", "a mapping")):
        path = tmp_path / "broken.yaml"
        path.write_text(content, encoding="utf-8")
        with pytest.raises(SpecError, match=rf"broken\.yaml: .*{message}"):
            load_recipe(path)
