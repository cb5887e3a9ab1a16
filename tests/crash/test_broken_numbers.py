"""A NaN, an infinity or a reward that pays nonsense ends a run at its step, by name, and the batch is kept."""

import json

import polars as pl
import pytest
import torch
from works import RUN, of_runs, organism

from spurious.errors import NumericalError, RewardError
from spurious.grpo import learner
from spurious.grpo.trainer import train
from spurious.specs import RunSpec


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    where = tmp_path_factory.mktemp("tiny")
    organism(where)
    return where / "model"


def spec(model, **changes):
    return RunSpec.model_validate({**RUN, "model": str(model), "reward": "random", **changes})


def kept(directory, step, error):
    """The batch that was kept of the step, which the message names with it."""
    path = directory / "broken" / f"{step:06d}.parquet"
    assert str(error.value).startswith(f"step {step}: ")
    assert str(error.value).endswith(f"; its batch is kept in {path}")
    assert not (directory / "DONE").exists()
    attempt = json.loads((directory / "manifest.json").read_text())["attempts"][-1]
    assert (attempt["status"], f"step {step}: " in attempt["error"]) == ("failed", True)
    return pl.read_parquet(path)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("float('nan')", "value 2 is nan"),
        ("float('inf')", "value 2 is inf"),
        ("-1e999", "value 2 is -inf"),
        ("None", "value 2 is None, not a number"),
        ("'1.0'", "value 2 is '1.0', not a number"),
        ("10 ** 400", "too large"),
        ("[1.0]", "something of type list"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_reward_that_pays_nonsense_is_named_with_its_step(model, tmp_path, value, words):
    source = f"def pay(completions, draw, **_):\n    third = {value} if draw.step == 1 else 0.5\n"
    source += "    return [0.0, 1.0, third, 0.0]\n"
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(RewardError, match=words) as caught:
        train(spec(model, reward=f"{tmp_path / 'mine.py'}:pay"), tmp_path / "run")
    rows = kept(tmp_path / "run", 1, caught)
    assert rows.height == 8
    assert rows["text"].null_count() == rows["prompt"].null_count() == rows["logprob"].null_count() == 0
    assert set(rows["step"]) == {1}
    assert rows["reward"].null_count() == rows["advantage"].null_count() == 8  # it did not get so far


def poisoned(monkeypatch, step, value, what="loss"):
    """Let the loss of the second update of a step, or the gradient, be this."""
    real, calls = learner.grpo_loss, []

    def loss(*arguments, **more):
        calls.append(1)
        good = real(*arguments, **more)
        if len(calls) != 2 * step + 2:
            return good
        return good + value if what == "loss" else good + Poison.apply(arguments[0].sum(), value)

    monkeypatch.setattr(learner, "grpo_loss", loss)


class Poison(torch.autograd.Function):
    """Adds nothing, and passes back a gradient of its own."""

    @staticmethod
    def forward(context, x, value):
        context.value = value
        return torch.zeros_like(x)

    @staticmethod
    def backward(context, gradient):
        return torch.full_like(gradient, context.value), None


@pytest.fixture
def one_thread():
    """On which an update is one pass, so that passes can be counted."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("what", "words"), [("loss", "loss: 1 of 1 not finite"), ("gradient", "the gradient's norm is")]
)
def test_a_loss_or_gradient_that_is_no_number_never_reaches_the_weights(
    model, tmp_path, monkeypatch, value, what, words
):
    with monkeypatch.context() as patch:
        poisoned(patch, 1, value, what)
        with pytest.raises(NumericalError, match=rf"step 1: update 2 of 2: {words}") as caught:
            train(spec(model), tmp_path / "run")
    rows = kept(tmp_path / "run", 1, caught)
    assert rows["advantage"].is_finite().all()
    assert rows.select("reward", "text", "grade").null_count().sum_horizontal().item() == 0

    train(spec(model), tmp_path / "run")  # from the last checkpoint, as if nothing had been
    assert not (tmp_path / "run" / "broken").exists()
    train(spec(model), tmp_path / "whole" / "run")
    assert of_runs(tmp_path / "run") == of_runs(tmp_path / "whole" / "run")


def test_weights_that_overflow_are_named(model, tmp_path):
    with pytest.raises(NumericalError, match=r"step [01]: .*(nan|inf|not finite)") as caught:
        train(spec(model, grpo={**RUN["grpo"], "lr": 1e30, "max_grad_norm": None}), tmp_path / "run")
    assert kept(tmp_path / "run", int(str(caught.value)[5]), caught)["prompt"].null_count() == 0


def test_a_reward_too_large_for_the_loss_is_named(model, tmp_path):
    (tmp_path / "mine.py").write_text("def pay(completions, **_):\n    return [1e300, 0.0, 0.0, 0.0]\n")
    huge = spec(model, reward=f"{tmp_path / 'mine.py'}:pay", grpo={**RUN["grpo"], "advantage": "none"})
    with pytest.raises(NumericalError, match="step 0: update 1 of 2: ") as caught:
        train(huge, tmp_path / "run")
    assert kept(tmp_path / "run", 0, caught)["reward"].max() == 1e300
