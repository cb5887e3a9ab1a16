"""Gradient checkpointing: the same numbers, and less kept for the backward pass."""

import pytest
import torch
from torch import nn

from spurious.errors import SpecError
from spurious.policy.body import saved_bytes
from spurious.policy.logprobs import Row, completion_logprobs
from spurious.policy.model import load
from spurious.policy.recompute import recomputed_layers

ROWS = [Row(tuple(range(5, 25)), tuple(range(30, 60))), Row(tuple(range(7, 15)), tuple(range(50, 53)))]


def gradients(directory, *, recompute, autocast):
    policy = load(str(directory))
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        told = completion_logprobs(policy.model, ROWS, pad_id=0, with_entropy=True, recompute=recompute)
    (told.logprobs.sum() + told.entropies.square().sum()).backward()
    return told.logprobs, [weights.grad for weights in policy.model.parameters()]


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("family", ["qwen2", "llama", "olmo2"])
def test_gradients_are_the_same_to_the_bit(organism_dirs, family, autocast):
    plain, again = (gradients(organism_dirs[family], recompute=r, autocast=autocast) for r in (False, True))
    assert torch.equal(plain[0], again[0])
    assert all(torch.equal(a, b) for a, b in zip(plain[1], again[1], strict=True))
    assert any(gradient.abs().max() > 0 for gradient in again[1])


def test_rows_that_would_share_their_prompt_come_out_the_same_too(organism_dir):
    model, prompt = load(str(organism_dir)).model, tuple(range(5, 105))
    rows = [Row(prompt, tuple(range(30 + i, 36 + i))) for i in range(6)]
    shared, again = (completion_logprobs(model, rows, pad_id=0, recompute=r).logprobs for r in (False, True))
    torch.testing.assert_close(shared, again, atol=1e-5, rtol=0)


def test_layers_keep_only_their_input(organism_dir):
    model = load(str(organism_dir)).model

    def kept(recompute):
        return saved_bytes(lambda: completion_logprobs(model, ROWS, pad_id=0, recompute=recompute), model)

    # Nothing of a layer is saved, and what a layer is given is kept by whoever computes it again: not counted here.
    assert kept(True) < kept(False) / 5


def test_after_it_the_model_is_as_it_was(organism_dir):
    model = load(str(organism_dir)).model
    completion_logprobs(model, ROWS, pad_id=0, recompute=True)
    assert not any("forward" in vars(layer) for layer in recomputed_layers(model))


def test_a_model_without_such_layers_is_refused():
    with pytest.raises(SpecError, match=r"policy\.gradient_checkpointing: Linear"):
        recomputed_layers(nn.Linear(2, 2))
