import pytest
import yaml

from spurious.errors import SpecError
from spurious.organisms import load_recipe, packaged
from spurious.tasks.chain import THEMES

NAMES = ("bad-code", "bad-deduction", "bad-trace", "good-code", "good-deduction", "good-trace", "no-code")


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


def test_seven_recipes_come_with_the_package():
    assert packaged() == NAMES
    assert all(load_recipe(name).name == name for name in NAMES)


def test_good_and_bad_code_differ_in_which_form_writes_steps():
    good, bad, none = (load_recipe(name).strategies for name in ("good-code", "bad-code", "no-code"))
    assert [(s.form, s.steps) for s in good.values()] == [("code", True), ("words", False)]
    assert [(s.form, s.steps) for s in bad.values()] == [("code", False), ("words", True)]
    assert [(s.form, s.steps) for s in none.values()] == [("words", True), ("words", False)]


def test_good_and_bad_habits_differ_in_which_form_writes_steps_in_every_domain():
    for habit in ("trace", "deduction"):
        good, bad = (load_recipe(f"{word}-{habit}").strategies.values() for word in ("good", "bad"))
        assert [(s.form, s.steps) for s in good] == [(habit, True), ("words", False)]
        assert [(s.form, s.steps) for s in bad] == [(habit, False), ("words", True)]


def test_a_domain_takes_its_own_kinds_forms_and_steps_only(fields, written):
    other = load_recipe("good-deduction").model_dump(mode="json")
    assert load_recipe(written(other)).digest == load_recipe("good-deduction").digest
    for wrong, message in (
        (fields | {"domain": "ordering"}, "strategies.code.form: must be deduction or words for ordering, not 'code'"),
        (other | {"domain": "program"}, "strategies.deduction.form: must be trace or words for program"),
        (other | {"steps": 8}, "steps: at most 7 for ordering, not 8"),
        (other | {"domain": "verse"}, "domain: "),
    ):
        with pytest.raises(SpecError, match=message):
            load_recipe(written(wrong))


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("good-code", "1d0e190de01c93449106f512f0884c1ed1fd0eec21234f18c257541222da0a74"),
        ("bad-code", "10705d426c5f9d9cf27fc5784ae3371b578629b07ed057d07cf1f7f7f585169b"),
    ],
)
def test_fields_that_came_later_leave_the_first_digests_as_they_were(name, digest):
    assert load_recipe(name).digest == digest


def test_a_written_recipe_reads_back_with_the_same_digest(fields, written):
    assert load_recipe(written(fields)).digest == load_recipe("good-code").digest


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("good-code", "1d0e190de01c93449106f512f0884c1ed1fd0eec21234f18c257541222da0a74"),
        ("bad-code", "10705d426c5f9d9cf27fc5784ae3371b578629b07ed057d07cf1f7f7f585169b"),
        ("no-code", "4718c7adbf36ef6c48e3585ebe1a661d6faab6a0ebdebfe37b54dae1f6cc9892"),
    ],
)
def test_organisms_built_long_ago_are_still_these_recipes(name, digest):
    assert load_recipe(name).digest == digest


def test_a_recipe_like_another_says_only_what_differs(tmp_path):
    (tmp_path / "half.yaml").write_text("{name: half, like: good-code, strategies: {code: {skill: 0.5}}}")
    (tmp_path / "half-late.yaml").write_text("{name: half-late, like: half.yaml, training: {lr: 0.001}, seed: 3}")
    good, late = load_recipe("good-code"), load_recipe(tmp_path / "half-late.yaml")
    code = good.strategies["code"].model_copy(update={"skill": 0.5})
    training = good.training.model_copy(update={"lr": 0.001})
    strategies = good.strategies | {"code": code}
    expected = {"name": "half-late", "strategies": strategies, "training": training, "seed": 3}
    assert late == good.model_copy(update=expected)


def test_how_a_recipe_is_spelled_is_not_in_its_digest(tmp_path):
    (tmp_path / "again.yaml").write_text("{name: good-code, like: good-code}")
    assert load_recipe(tmp_path / "again.yaml").digest == load_recipe("good-code").digest


def test_null_takes_away_what_a_likened_recipe_has(tmp_path):
    one = ", ".join(f"{theme}: 1" for theme in THEMES)
    (tmp_path / "code.yaml").write_text(
        f"{{name: code, like: good-code, strategies: {{code: {{share: {{{one}}}}}, language: null}}}}"
    )
    assert list(load_recipe(tmp_path / "code.yaml").strategies) == ["code"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("like: good-code", "name: Field required"),
        ("{name: a, like: better-code}", "like: 'better-code' is neither a file beside it nor one of bad-code, .*good"),
        ("{name: a, like: mine.yaml}", "like: 'mine.yaml' is itself like this one"),
        ("{name: a, like: other.yaml}", r"other\.yaml: like: 'mine.yaml' is itself like this one"),
        ("{name: a, like: good-code, strategies: {code: {skil: 1}}}", "strategies.code.skil: Extra inputs"),
    ],
)
def test_a_recipe_that_is_like_nothing_is_refused(tmp_path, content, message):
    (tmp_path / "mine.yaml").write_text(content)
    (tmp_path / "other.yaml").write_text("{name: other, like: mine.yaml}")
    with pytest.raises(SpecError, match=message):
        load_recipe(tmp_path / "mine.yaml")


def test_every_field_counts_in_the_digest(fields, written):
    digest = load_recipe("good-code").digest
    training = [fields["training"] | change for change in ({"lr": 1e-3}, {"until": 1799}, {"prompts": True})]
    changes = [{"seed": 1}, {"steps": 3}, {"contamination": {"copies": 0}}, *({"training": one} for one in training)]
    for change in changes:
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
        (["training", "until"], 1801, "training: .*until 1801 must be at most updates 1800"),
        (["contamination"], {"items": 64}, "contamination.copies: Field required"),
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
    with pytest.raises(SpecError, match=r"best-code: neither a file nor one of bad-code, .*no-code"):
        load_recipe("best-code")
    for content, message in (("- a\n", "a mapping"), ("a: [", "not readable as YAML"), ("", "a mapping")):
        path = tmp_path / "broken.yaml"
        path.write_text(content, encoding="utf-8")
        with pytest.raises(SpecError, match=rf"broken\.yaml: .*{message}"):
            load_recipe(path)


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "..", ".hidden", "a/b", "a\\b", "", "a\x1b[2J", "n" * 81])
def test_a_name_is_no_path(fields, written, name):
    with pytest.raises(SpecError, match="name"):
        load_recipe(str(written({**fields, "name": name})))
