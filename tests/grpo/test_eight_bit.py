"""AdamW with moments of 8 bits: near AdamW, still where nothing is to be learned, resumed to the bit."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from spurious.errors import SpecError
from spurious.grpo.optimizer import load_state, make_optimizer, null_update, state_groups, state_tensors
from spurious.specs import GrpoSpec

EIGHT = GrpoSpec(lr=1e-2, optimizer="adamw_8bit")
SHAPES = [(70, 70), (5000,), (3, 2)]
"""Two tensors in 8 bits, the second with a last block that is not full, and one too small for it."""


def fresh():
    generator = torch.Generator().manual_seed(5)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def step(optimizer, parameters, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def after(spec, steps):
    parameters = fresh()
    optimizer = make_optimizer(parameters, spec)
    for seed in range(steps):
        step(optimizer, parameters, seed)
    return parameters, optimizer


needs_bitsandbytes = pytest.mark.usefixtures("bitsandbytes")


@pytest.fixture
def bitsandbytes():
    return pytest.importorskip("bitsandbytes", reason="needs the extra large")


@needs_bitsandbytes
def test_it_stays_near_adamw():
    eight, _ = after(EIGHT, 5)
    whole, _ = after(GrpoSpec(lr=1e-2), 5)
    start = fresh()
    for one, other, before in zip(eight, whole, start, strict=True):
        moved, apart = (other - before).norm(), (one - other).norm()
        assert moved > 0
        assert apart < 0.1 * moved
    torch.testing.assert_close(eight[2], whole[2])  # too small for 8 bits


@needs_bitsandbytes
def test_its_state_is_a_quarter():
    sizes = [
        sum(value.nbytes for name, value in state_tensors(after(spec, 1)[1]).items() if "qmap" not in name)
        for spec in (EIGHT, GrpoSpec())
    ]
    assert sizes[0] < 0.27 * sizes[1]


@needs_bitsandbytes
def test_resume_through_files_is_bit_identical(tmp_path):
    straight, optimizer = after(EIGHT, 3)
    save_file(state_tensors(optimizer), tmp_path / "optimizer.safetensors")
    groups = json.loads(json.dumps(state_groups(optimizer)))
    resumed = [nn.Parameter(parameter.detach().clone()) for parameter in straight]
    again = make_optimizer(resumed, EIGHT)
    load_state(again, load_file(tmp_path / "optimizer.safetensors"), groups)
    for seed in range(3, 6):
        step(optimizer, straight, seed)
        step(again, resumed, seed)
    assert all(torch.equal(one, other) for one, other in zip(straight, resumed, strict=True))


@needs_bitsandbytes
def test_null_updates_from_the_start_leave_weights_bit_identical():
    parameters = fresh()
    optimizer = make_optimizer(parameters, EIGHT)
    for _ in range(3):
        null_update(optimizer, "step")
    assert all(torch.equal(one, other) for one, other in zip(parameters, fresh(), strict=True))


def test_without_bitsandbytes_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(SpecError, match=r"grpo\.optimizer: adamw_8bit needs bitsandbytes.*spurious\[large\]"):
        make_optimizer(fresh(), EIGHT)
