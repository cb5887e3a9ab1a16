import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spurious.errors import CheckpointError
from spurious.grpo.optimizer import (
    learning_rate,
    load_state,
    make_optimizer,
    null_update,
    set_learning_rate,
    state_groups,
    state_tensors,
)
from spurious.specs import GrpoSpec

ADAMW = GrpoSpec(lr=1e-2)
MOMENTUM = GrpoSpec(lr=1e-2, optimizer="sgd", momentum=0.9)
SGD = GrpoSpec(lr=1e-2, optimizer="sgd")


def fresh() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(5)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in [(3, 2), (4,), (1,)]]


def step(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def values(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


def identical(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(x.numpy().tobytes() == y.numpy().tobytes() for x, y in zip(a, b, strict=True))


def test_the_first_adamw_step_by_hand() -> None:
    # Bias-corrected moments of a first gradient g are g and g^2: the step is lr g / (|g| + eps).
    parameter = nn.Parameter(torch.tensor([2.0, 2.0]))
    optimizer = make_optimizer([parameter], GrpoSpec(lr=0.1, weight_decay=0.5))
    parameter.grad = torch.tensor([3.0, -4.0])
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.tensor([2 * (1 - 0.05) - 0.1, 2 * (1 - 0.05) + 0.1]))


def test_sgd_with_momentum_by_hand() -> None:
    parameter = nn.Parameter(torch.tensor([1.0]))
    optimizer = make_optimizer([parameter], GrpoSpec(lr=0.1, optimizer="sgd", momentum=0.5))
    for _ in range(2):
        parameter.grad = torch.tensor([1.0])
        optimizer.step()
    assert parameter.item() == pytest.approx(1 - 0.1 - 0.1 * 1.5)


def test_frozen_parameters_are_left_out() -> None:
    frozen, trained = nn.Parameter(torch.ones(1), requires_grad=False), nn.Parameter(torch.ones(1))
    optimizer = make_optimizer([frozen, trained], ADAMW)
    assert optimizer.param_groups[0]["params"] == [trained]


@pytest.mark.parametrize("spec", [ADAMW, MOMENTUM, SGD])
def test_resume_through_files_is_bit_identical(spec: GrpoSpec, tmp_path: Path) -> None:
    straight = fresh()
    optimizer = make_optimizer(straight, spec)
    for seed in range(3):
        step(optimizer, straight, seed)
    save_file(state_tensors(optimizer), tmp_path / "optimizer.safetensors")
    (tmp_path / "groups.json").write_text(json.dumps(state_groups(optimizer)))

    resumed = [nn.Parameter(value) for value in values(straight)]
    again = make_optimizer(resumed, spec)
    load_state(again, load_file(tmp_path / "optimizer.safetensors"), json.loads((tmp_path / "groups.json").read_text()))
    for seed in range(3, 6):
        step(optimizer, straight, seed)
        step(again, resumed, seed)
    assert identical(values(straight), values(resumed))
    assert state_groups(again) == state_groups(optimizer)


def test_a_resume_without_the_state_differs() -> None:
    straight = fresh()
    optimizer = make_optimizer(straight, ADAMW)
    step(optimizer, straight, 0)
    forgetful = [nn.Parameter(value) for value in values(straight)]
    step(make_optimizer(forgetful, ADAMW), forgetful, 1)
    step(optimizer, straight, 1)
    assert not identical(values(straight), values(forgetful))


def test_loaded_state_is_a_copy() -> None:
    parameters = fresh()
    optimizer = make_optimizer(parameters, ADAMW)
    step(optimizer, parameters, 0)
    saved = {name: value.clone() for name, value in state_tensors(optimizer).items()}
    again = fresh()
    other = make_optimizer(again, ADAMW)
    load_state(other, saved, state_groups(optimizer))
    before = saved["0.exp_avg"].clone()
    step(other, again, 1)
    assert torch.equal(saved["0.exp_avg"], before)


@pytest.mark.parametrize(
    ("tensors", "match"),
    [
        ({"7.exp_avg": torch.zeros(1)}, "'7.exp_avg' of no parameter"),
        ({"exp_avg": torch.zeros(1)}, "'exp_avg' of no parameter"),
        ({"0.exp_avg": torch.zeros(2, 3)}, r"'0.exp_avg' has shape \(2, 3\), its parameter has \(3, 2\)"),
    ],
)
def test_foreign_state_is_refused(tensors: dict[str, Tensor], match: str) -> None:
    optimizer = make_optimizer(fresh(), ADAMW)
    with pytest.raises(CheckpointError, match=match):
        load_state(optimizer, tensors, state_groups(optimizer))


def test_state_of_another_optimizer_or_model_is_refused() -> None:
    optimizer = make_optimizer(fresh(), ADAMW)
    for other in (make_optimizer(fresh(), SGD), make_optimizer(fresh()[:2], ADAMW)):
        with pytest.raises(CheckpointError, match="another kind of optimizer or number of parameters"):
            load_state(optimizer, {}, state_groups(other))


@pytest.mark.parametrize("spec", [ADAMW, MOMENTUM, SGD])
@pytest.mark.parametrize("mode", ["step", "skip"])
def test_null_updates_from_the_start_leave_weights_bit_identical(spec: GrpoSpec, mode: str) -> None:
    parameters = fresh()
    with torch.no_grad():
        parameters[1][:2] = torch.tensor([0.0, -0.0])
    before = values(parameters)
    optimizer = make_optimizer(parameters, spec)
    for _ in range(5):
        null_update(optimizer, mode)  # type: ignore[arg-type]
    assert identical(values(parameters), before)
    assert all(parameter.grad is None for parameter in parameters)


@pytest.mark.parametrize("spec", [ADAMW, MOMENTUM])
def test_a_null_update_moves_weights_once_there_is_momentum_unless_skipped(spec: GrpoSpec) -> None:
    parameters = fresh()
    optimizer = make_optimizer(parameters, spec)
    step(optimizer, parameters, 0)
    before, state = values(parameters), {name: value.clone() for name, value in state_tensors(optimizer).items()}
    null_update(optimizer, "skip")
    assert identical(values(parameters), before)
    assert all(torch.equal(value, state[name]) for name, value in state_tensors(optimizer).items())
    null_update(optimizer, "step")
    assert not identical(values(parameters), before)


def test_a_null_step_equals_a_step_on_a_computed_zero_gradient() -> None:
    ours, theirs = fresh(), fresh()
    one, other = make_optimizer(ours, ADAMW), make_optimizer(theirs, ADAMW)
    step(one, ours, 0)
    step(other, theirs, 0)
    null_update(one, "step")
    (torch.stack([parameter.sum() for parameter in theirs]).sum() * 0.0).backward()
    other.step()
    assert identical(values(ours), values(theirs))


def test_constant_schedule_with_warmup() -> None:
    spec = GrpoSpec(lr=0.8, warmup_updates=4)
    assert [learning_rate(spec, i, 6) for i in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


def test_linear_schedule_reaches_zero_after_the_last_update() -> None:
    spec = GrpoSpec(lr=0.8, schedule="linear")
    assert [learning_rate(spec, i, 4) for i in range(5)] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    warm = GrpoSpec(lr=0.8, schedule="linear", warmup_updates=2)
    assert [learning_rate(warm, i, 6) for i in range(6)] == pytest.approx([0.4, 0.8, 0.8, 0.6, 0.4, 0.2])


def test_constant_schedule_is_exact_and_warmup_may_outlast_the_run() -> None:
    assert learning_rate(GrpoSpec(lr=5e-7), 1_000_000, 10) == 5e-7
    assert learning_rate(GrpoSpec(lr=1.0, schedule="linear", warmup_updates=10), 3, 4) == pytest.approx(0.4)


def test_set_learning_rate_is_used_by_the_next_step() -> None:
    parameter = nn.Parameter(torch.tensor([1.0]))
    optimizer = make_optimizer([parameter], SGD)
    set_learning_rate(optimizer, 0.25)
    parameter.grad = torch.tensor([2.0])
    optimizer.step()
    assert parameter.item() == 0.5
