"""Decoding steps on memory that stays where it is; on a GPU recorded and repeated, here repeated by being called."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
import torch
from test_sampler import MIXED, SAMPLING, SCOPE, flat, prompts_of
from tiny_models import tiny_model
from torch import Tensor

from spurious.policy import graphs, sampler
from spurious.policy.decoding import ModelDecoding
from spurious.policy.fused import fuse, fusible
from spurious.policy.graphs import GraphDecoding
from spurious.policy.model import Policy
from spurious.policy.sampler import TorchSampler
from spurious.specs import SamplingSpec

pytestmark = pytest.mark.usefixtures("one_thread")


class Recorder:
    """Stands for a graph: every repetition gives its result in the same memory, and reads what it was recorded on."""

    def __init__(self) -> None:
        self.recordings = 0

    def __call__(self, body: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.recordings += 1
        output: list[Tensor] = []

        def repeat() -> Tensor:
            logits = body()
            if not output:
                output.append(torch.empty_like(logits))
            return output[0].copy_(logits)

        return repeat


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Makes samplers decode as on a GPU."""
    made = Recorder()
    monkeypatch.setattr(graphs, "PLACES", 8)

    def faster(self: TorchSampler, decoding: ModelDecoding, most: int) -> GraphDecoding:
        kind = self.policy.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        return GraphDecoding(fuse(self.policy.model, dtype), decoding, most, made)

    monkeypatch.setattr(sampler.TorchSampler, "_faster", faster)
    return made


def sampled(policy: Policy, sampling: SamplingSpec = SAMPLING):
    return flat(TorchSampler(policy).sample([*MIXED[:8], *prompts_of([20] * 16)], 3, sampling, SCOPE))


def test_the_same_completions_as_step_by_step(policy: Policy, request: pytest.FixtureRequest) -> None:
    expected = sampled(policy)
    recorder = request.getfixturevalue("recorder")
    found = sampled(policy)
    assert [c.token_ids for c in found] == [c.token_ids for c in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.sampler_logprobs == pytest.approx(other.sampler_logprobs, abs=1e-5)
    assert 0 < recorder.recordings < 40


def test_rows_are_let_go_of_by_halves(qwen: Policy, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    whole = GraphDecoding.select
    monkeypatch.setattr(GraphDecoding, "select", lambda self, index: (kept.append(len(index)), whole(self, index))[1])
    monkeypatch.setattr(qwen.model.generation_config, "eos_token_id", list(range(2, 100)))
    TorchSampler(qwen).sample(prompts_of([20] * 16), 8, SAMPLING, SCOPE)
    assert kept[0] == 128  # a row for every completion from the start
    assert len(kept) > 1
    assert all(later <= earlier / 2 for earlier, later in pairwise(kept) if later > 4)


def test_under_autocast_steps_are_near_the_models_own(qwen: Policy, request: pytest.FixtureRequest) -> None:
    greedy = SamplingSpec(max_tokens=4, temperature=0)
    with torch.autocast("cpu", torch.bfloat16):
        expected = sampled(qwen, greedy)
        request.getfixturevalue("recorder")
        found = sampled(qwen, greedy)
    firsts = [(one.sampler_logprobs[1], other.sampler_logprobs[1]) for one, other in zip(found, expected, strict=True)]
    assert max(abs(one - other) for one, other in firsts) < 0.05


def test_what_is_put_together_has_the_precision_asked_for() -> None:
    model = tiny_model("qwen2", 308).eval()
    weights = fuse(model, torch.bfloat16)
    assert weights.cached == weights.head.weight.dtype == weights.layers[0].attend.weight.dtype == torch.bfloat16
    assert weights.embedding.dtype == weights.norm.weight.dtype == torch.float32
    assert fuse(model).layers[0].down.weight.data_ptr() == model.model.layers[0].mlp.down_proj.weight.data_ptr()


@pytest.fixture
def on_gpu(policy: Policy) -> Iterator[Policy]:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    yield Policy(policy.model.cuda(), policy.tokenizer, torch.device("cuda"), torch.float32, policy.source)
    policy.model.cpu()


@pytest.mark.gpu
def test_recorded_steps_on_a_gpu(on_gpu: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fusible(on_gpu.model)
    found = sampled(on_gpu)
    monkeypatch.setattr(sampler, "fusible", lambda model: False)
    expected = sampled(on_gpu)
    assert [c.token_ids for c in found] == [c.token_ids for c in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.sampler_logprobs == pytest.approx(other.sampler_logprobs, abs=1e-4)


@pytest.mark.gpu
def test_recorded_steps_on_a_gpu_under_autocast(on_gpu: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    greedy = SamplingSpec(max_tokens=4, temperature=0)
    with torch.autocast("cuda", torch.bfloat16):
        found = sampled(on_gpu, greedy)
        assert sampled(on_gpu, greedy) == found
        monkeypatch.setattr(sampler, "fusible", lambda model: False)
        expected = sampled(on_gpu, greedy)
    firsts = [(one.sampler_logprobs[1], other.sampler_logprobs[1]) for one, other in zip(found, expected, strict=True)]
    assert max(abs(one - other) for one, other in firsts) < 0.05
