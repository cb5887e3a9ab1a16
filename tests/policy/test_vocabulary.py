import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spurious.policy import vocabulary
from spurious.policy.vocabulary import TokenLogprobs, logprobs_of_hidden, logprobs_of_logits


@pytest.fixture
def chunked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks so small that every loop turns several times and the last chunk is a short one."""
    monkeypatch.setattr(vocabulary, "PLAIN_VOCABULARY", 0)
    monkeypatch.setattr(vocabulary, "TOKEN_CHUNK", 3)
    monkeypatch.setattr(vocabulary, "VOCABULARY_CHUNK", 5)


def inputs(tokens: int, words: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, 4, generator=generator, dtype=dtype).requires_grad_()
    weight = (2 * torch.randn(words, 4, generator=generator, dtype=dtype)).requires_grad_()
    bias = torch.randn(words, generator=generator, dtype=dtype).requires_grad_()
    return hidden, weight, bias, torch.randint(words, (tokens,), generator=generator)


def by_definition(logits: torch.Tensor, targets: torch.Tensor, temperature: float) -> TokenLogprobs:
    distribution = torch.distributions.Categorical(logits=logits / temperature)
    return TokenLogprobs(distribution.log_prob(targets), distribution.entropy())


def test_logits_path_is_the_definition() -> None:
    hidden, weight, bias, targets = inputs(7, 13)
    ours = logprobs_of_logits(hidden @ weight.T + bias, targets, temperature=0.7, with_entropy=True)
    theirs = by_definition(hidden @ weight.T + bias, targets, 0.7)
    torch.testing.assert_close(ours, theirs)


@settings(deadline=None, max_examples=30)
@given(tokens=st.integers(1, 9), words=st.integers(2, 17), seed=st.integers(0, 1000), t=st.floats(0.1, 3))
def test_chunked_values_are_the_definition(tokens: int, words: int, seed: int, t: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "PLAIN_VOCABULARY", 0)
        patch.setattr(vocabulary, "TOKEN_CHUNK", 3)
        patch.setattr(vocabulary, "VOCABULARY_CHUNK", 5)
        hidden, weight, bias, targets = inputs(tokens, words, seed)
        ours = logprobs_of_hidden(hidden, weight, bias, targets, temperature=t, with_entropy=True)
        torch.testing.assert_close(ours, by_definition(hidden @ weight.T + bias, targets, t), atol=1e-9, rtol=1e-9)


@pytest.mark.usefixtures("chunked")
@pytest.mark.parametrize("with_entropy", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_chunked_gradient_against_finite_differences(with_entropy: bool, with_bias: bool) -> None:
    hidden, weight, bias, targets = inputs(7, 13)

    def outputs(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, ...]:
        result = logprobs_of_hidden(
            hidden, weight, bias if with_bias else None, targets, temperature=0.7, with_entropy=with_entropy
        )
        return tuple(part for part in result if part is not None)

    used = (hidden, weight, bias if with_bias else bias.detach())
    assert torch.autograd.gradcheck(outputs, used)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_paths_agree(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    hidden, weight, bias, targets = inputs(50, 300, dtype=dtype)
    results = []
    for plain in (10**9, 0):
        monkeypatch.setattr(vocabulary, "PLAIN_VOCABULARY", plain)
        monkeypatch.setattr(vocabulary, "VOCABULARY_CHUNK", 64)
        for tensor in (hidden, weight, bias):
            tensor.grad = None
        logprobs, entropies = logprobs_of_hidden(hidden, weight, bias, targets, temperature=1.0, with_entropy=True)
        assert logprobs.dtype == torch.float32
        (logprobs.sum() + 0.1 * entropies.sum()).backward()
        results.append([logprobs.detach(), entropies.detach(), hidden.grad, weight.grad, bias.grad])
    tolerance = 1e-5 if dtype == torch.float32 else 3e-2
    for plain_value, chunked_value in zip(*results, strict=True):
        torch.testing.assert_close(plain_value, chunked_value, atol=tolerance, rtol=tolerance)


@pytest.mark.usefixtures("chunked")
def test_extreme_logits_stay_finite() -> None:
    hidden = torch.tensor([[1.0], [1.0]])
    weight = torch.tensor([[3e4], [-3e4], [0.0], [2e4], [1.0], [7.0]])
    logprobs, entropies = logprobs_of_hidden(
        hidden, weight, None, torch.tensor([0, 1]), temperature=1.0, with_entropy=True
    )
    assert logprobs.tolist() == [0.0, -6e4]
    assert entropies.tolist() == [0.0, 0.0]


def test_peak_memory_does_not_hold_the_logits() -> None:
    """2,000 tokens of a vocabulary of 50,000 would be 400 MB of logits; no tensor that large is ever made."""
    hidden = torch.randn(2000, 4, requires_grad=True)
    weight = torch.randn(50_000, 4, requires_grad=True)
    targets = torch.arange(2000)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        logprobs_of_hidden(hidden, weight, None, targets, temperature=1.0, with_entropy=False).logprobs.sum().backward()
    largest = max(abs(event.cpu_memory_usage) for event in profile.events())
    assert largest < 2000 * 50_000 * 4 / 4
