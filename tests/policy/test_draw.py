import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spurious.policy import draw as draws
from spurious.policy.draw import draw


def at(logits: list[float], *uniforms: float, temperature: float = 1.0, top_p: float = 1.0) -> list[int]:
    rows = torch.tensor([logits] * len(uniforms))
    u = torch.tensor(uniforms, dtype=torch.float64)
    return draw(rows, u, torch.arange(len(u)), temperature=temperature, top_p=top_p, confidence=False).tokens.tolist()


HALF_QUARTERS = [math.log(0.5), math.log(0.25), math.log(0.25)]


def test_inverse_of_the_cumulative_distribution() -> None:
    assert at(HALF_QUARTERS, 0.0, 0.49, 0.51, 0.74, 0.76, 0.999999) == [0, 0, 1, 1, 2, 2]


def test_temperature_reshapes_the_distribution() -> None:
    """At temperature 0.5 probabilities are squared: 4/6, 1/6, 1/6."""
    assert at(HALF_QUARTERS, 0.66, 0.67, 0.83, 0.84, temperature=0.5) == [0, 1, 1, 2]


def test_impossible_tokens_are_never_drawn() -> None:
    assert at([-math.inf, 0.0, -math.inf], 0.0, 0.5, math.nextafter(1, 0)) == [1, 1, 1]


def test_greedy_takes_the_lowest_id_among_equals() -> None:
    assert at([1.0, 3.0, 3.0, 2.0], 0.0, 0.99, temperature=0.0) == [1, 1]


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [
        (0.4, [0, 0, 0]),
        (0.5, [0, 0, 0]),
        (0.51, [0, 0, 1]),  # of the equal second and third only the lower id is needed: 2/3, 1/3
        (0.75, [0, 0, 1]),
        (0.76, [0, 1, 2]),
    ],
)
def test_nucleus_is_the_smallest_set_that_reaches_top_p(top_p: float, expected: list[int]) -> None:
    assert at([math.log(8), math.log(4), math.log(4)], 0.1, 0.6, 0.99, top_p=top_p) == expected


def test_nucleus_keeps_the_order_of_ids() -> None:
    """Sorted by probability for membership only: the uniforms still run through ids, so noise stays comparable."""
    assert at([math.log(0.1), math.log(0.6), math.log(0.3)], 0.3, 0.9, top_p=0.9) == [1, 2]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.6), (0.0, 1.0)])
def test_reported_values_are_of_the_whole_tempered_distribution(temperature: float, top_p: float) -> None:
    logits = torch.randn(6, 11, generator=torch.Generator().manual_seed(0))
    drawn = draw(
        logits,
        torch.full((6,), 0.3, dtype=torch.float64),
        torch.arange(6),
        temperature=temperature,
        top_p=top_p,
        confidence=True,
    )
    reference = torch.distributions.Categorical(logits=logits.double() / (temperature or 1.0))
    torch.testing.assert_close(drawn.logprobs.double(), reference.log_prob(drawn.tokens), atol=1e-6, rtol=0)
    torch.testing.assert_close(drawn.entropies.double(), reference.entropy(), atol=1e-6, rtol=0)
    certainty = torch.distributions.kl_divergence(torch.distributions.Categorical(probs=torch.ones(6, 11)), reference)
    torch.testing.assert_close(drawn.self_certainties, certainty, atol=1e-6, rtol=0)


@pytest.mark.parametrize("chunk", [2**24, 25])
def test_a_row_of_logits_serves_all_completions_that_stand_there(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "CHUNK_ELEMENTS", chunk)
    logits = torch.randn(3, 10, generator=torch.Generator().manual_seed(1))
    u, owners = torch.linspace(0, 0.99, 7, dtype=torch.float64), torch.tensor([2, 0, 2, 2, 1, 0, 2])
    shared = draw(logits, u, owners, temperature=1.0, top_p=0.8, confidence=True)
    own = draw(logits[owners], u, torch.arange(7), temperature=1.0, top_p=0.8, confidence=True)
    assert all(torch.equal(one, other) for one, other in zip(shared, own, strict=True))


def test_frequencies_follow_the_distribution() -> None:
    n = 20_000
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0]).expand(n, 4)
    tokens = draw(logits, u, torch.arange(len(u)), temperature=0.8, top_p=1.0, confidence=False).tokens
    counts = torch.bincount(tokens, minlength=4) / n
    torch.testing.assert_close(counts, (logits[0] / 0.8).softmax(-1), atol=1 / n, rtol=0)


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 9),
    words=st.integers(1, 70),
    seed=st.integers(0, 99),
    top_p=st.sampled_from([1.0, 0.7]),
    start=st.integers(0, 8),
)
def test_a_row_does_not_see_its_neighbors(rows: int, words: int, seed: int, top_p: float, start: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(rows + 4, words, generator=generator)
    u = torch.rand(rows + 4, generator=generator, dtype=torch.float64)
    together = draw(logits, u, torch.arange(len(u)), temperature=0.9, top_p=top_p, confidence=True)
    start = min(start, rows)
    some = slice(start, start + 4)
    alone = draw(logits[some].clone(), u[some].clone(), torch.arange(4), temperature=0.9, top_p=top_p, confidence=True)
    for whole, part in zip(together, alone, strict=True):
        assert torch.equal(whole[some], part)


def test_chunks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(7, 10, generator=torch.Generator().manual_seed(1))
    u = torch.linspace(0, 0.99, 7, dtype=torch.float64)
    whole = draw(logits, u, torch.arange(len(u)), temperature=1.0, top_p=0.8, confidence=True)
    monkeypatch.setattr(draws, "CHUNK_ELEMENTS", 25)
    for a, b in zip(
        whole, draw(logits, u, torch.arange(len(u)), temperature=1.0, top_p=0.8, confidence=True), strict=True
    ):
        assert torch.equal(a, b)
