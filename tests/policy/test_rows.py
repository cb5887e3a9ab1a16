"""What the sampler reads: how many rows, of what, and that nothing depends on it."""

from collections.abc import Sequence

import pytest
import torch
from test_sampler import MIXED, SAMPLING, SCOPE, flat, prompts_of

from spurious.policy import model as policies
from spurious.policy import sampler, threads
from spurious.policy.decoding import ModelDecoding
from spurious.policy.fused import FusedDecoding
from spurious.policy.model import Policy
from spurious.policy.sampler import TorchSampler
from spurious.specs import SamplingSpec
from spurious.types import Group


@pytest.fixture(params=["model", "fused"])
def shapes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shape of everything that is read, by the model's own forward pass and by the fused one."""
    seen: list[tuple[int, ...]] = []
    monkeypatch.setattr(sampler, "fusible", lambda model: request.param == "fused")
    for kind, name in ((ModelDecoding, "read"), (ModelDecoding, "step"), (FusedDecoding, "step")):
        whole = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda self, ids, of=whole: (seen.append(tuple(ids.shape)), of(self, ids))[1])
    return seen


def beginnings(groups: Sequence[Group], length: int) -> int:
    """Different beginnings of that many tokens, of completions that go on."""
    return len(
        {(g.prompt.problem.id, c.token_ids[:length]) for g in groups for c in g.completions if c.token_ids[length:]}
    )


@pytest.mark.usefixtures("one_thread")
def test_what_is_the_same_is_read_once(qwen: Policy, shapes: list[tuple[int, ...]]) -> None:
    """Prompts, and what completions have written, for as long as they agree."""
    groups = TorchSampler(qwen).sample(prompts_of([20] * 6), 8, SamplingSpec(max_tokens=9, temperature=0.2), SCOPE)
    rows = [beginnings(groups, length) for length in range(1, 9)]
    assert 6 < rows[0] < rows[3] < 48
    assert shapes[0] == (6, 32)
    have = [shape[0] for shape in shapes[1:]]
    assert all(need <= got <= max(4, need / 0.875) for need, got in zip(rows, have, strict=True))


@pytest.mark.parametrize("temperature", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["model", "fused"])
def test_a_row_for_every_completion_changes_nothing(
    policy: Policy, temperature: float, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler, "fusible", lambda model: kind == "fused")
    ending = policies.frozen_copy(policy)
    ending.model.generation_config.eos_token_id = list(range(2, 60))
    spec = SamplingSpec(max_tokens=12, temperature=temperature)
    shared = TorchSampler(ending).sample(MIXED, 6, spec, SCOPE, confidence=True)
    monkeypatch.setattr(ModelDecoding if kind == "model" else FusedDecoding, "branches", False)
    assert TorchSampler(ending).sample(MIXED, 6, spec, SCOPE, confidence=True) == shared


@pytest.mark.usefixtures("two_threads")
def test_threads_part_the_groups_of_a_small_model(
    qwen: Policy, shapes: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    TorchSampler(qwen).sample(prompts_of([20] * 9), 8, SamplingSpec(max_tokens=3), SCOPE)
    assert sorted(shape for shape in shapes if len(shape) == 2) == [(4, 32), (5, 32)]
    assert len(shapes) == 6
    assert torch.get_num_threads() == 2
    shapes.clear()
    monkeypatch.setattr(threads, "LARGEST", 1000)
    TorchSampler(qwen).sample(prompts_of([20] * 9), 8, SamplingSpec(max_tokens=3), SCOPE)
    assert shapes[0] == (9, 32)
    assert len(shapes) == 3


@pytest.mark.usefixtures("one_thread")
def test_finished_rows_are_dropped(qwen: Policy, shapes: list[tuple[int, ...]]) -> None:
    ending = policies.frozen_copy(qwen)
    ending.model.generation_config.eos_token_id = list(range(2, 100))
    groups = TorchSampler(ending).sample(prompts_of([20] * 16), 8, SAMPLING, SCOPE)
    rows = [shape[0] for shape in shapes]
    alive = [sum(len(c.token_ids) > t for c in flat(groups)) for t in range(1, 12)]
    assert all(have <= max(4, 8 * need / 7 + 1) for have, need in zip(rows[1:], alive, strict=False))
    assert rows[-1] < 128
