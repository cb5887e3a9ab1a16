import json
import socket

import pytest
import yaml

from spurious.cli import main
from spurious.errors import SpecError
from spurious.study.scale import scale_study
from spurious.study.spec import resolve


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a dry run needs no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def big(small, **base):
    """A study at the paper's scale on a model that is not here, beside an organism that is not built."""
    study = small("m", models={"Qwen2.5-1.5B": "Qwen/Qwen2.5-1.5B", "good": {"organism": "good-code"}})
    study["base"] = {
        "task": "deepscaler",
        "steps": 2,
        "sampling": {"max_tokens": 3072},
        "dtype": "bfloat16",
        "grpo": {"prompts_per_rollout": 64},
        **base,
    }
    study["arms"]["coin"]["overrides"] = {"measure_kl": False}
    return study


def test_models_that_are_not_here_are_measured_by_their_configurations(small, tmp_path):
    scales = {one.model: one for one in scale_study(resolve(big(small, sampling={"max_tokens": 64})), tmp_path)}
    hub, organism = scales["Qwen2.5-1.5B"], scales["good"]
    assert hub.body.parameters == 1_543_714_304
    assert hub.arm == "truth"  # the other arm keeps no reference
    assert organism.body.parameters < 500_000
    assert organism.fits
    assert not list(tmp_path.iterdir())


def test_advice_makes_a_run_fit(small, tmp_path):
    study = resolve(big(small))
    before = scale_study(study, tmp_path)[0]
    assert not before.fits
    words = before.advice.split("80 GB with ")[1].split(" at most")[0].split(" and ")
    fields = {name: int(value) for name, value in (word.split() for word in words)}
    assert set(fields) == {"token_budget", "sampling_rows"}
    after = scale_study(resolve(big(small, **fields)), tmp_path)[0]
    assert after.fits
    assert after.advice == "fits into 80 GB"


def test_what_fits_at_no_setting_is_said_so(small, tmp_path):
    study = big(small)
    study["models"] = {"7B": "Qwen/Qwen2.5-7B"}
    (scale,) = scale_study(resolve(study), tmp_path)
    assert "at any token_budget or sampling_rows" in scale.advice


def test_a_model_without_a_configuration_is_named(small, tmp_path):
    with pytest.raises(SpecError, match="some/model"):
        scale_study(resolve(small("some/model")), tmp_path)


def shown(capsys, *arguments):
    with pytest.raises(SystemExit) as exit:
        main([str(argument) for argument in arguments])
    assert exit.value.code == 0
    return capsys.readouterr().out


def test_a_dry_run_is_a_table_or_one_document(small, organism_dir, tmp_path, capsys):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(small(organism_dir)))
    text = shown(capsys, "study", "plan", path, "--dry-run", "--store", tmp_path / "store")
    assert "optimizer state (adamw)" in text
    assert "fits into 80 GB" in text
    (told,) = json.loads(shown(capsys, "study", "plan", path, "--dry-run", "--json"))
    weights = next(item["bytes"] for item in told["memory"] if item["what"] == "weights")
    assert weights == 4 * told["parameters"]
    assert not (tmp_path / "store").exists()


def test_a_run_can_be_measured_before_it_is_made(tmp_path, organism_dir, capsys):
    arguments = ["--model", organism_dir, "--task", "deepscaler", "--reward", "random", "--steps", 2]
    (told,) = json.loads(
        shown(capsys, "train", *arguments, "--out", tmp_path / "run", "--sampling-rows", 8, "--dry-run", "--json")
    )
    assert told["sampling_rows"] == 8
    assert told["fits"]
    assert not (tmp_path / "run").exists()
