import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spurious.grpo.loss import grpo_loss, k3, loss_denominator, surrogate_objective, token_weights

CLIPS = [(0.2, 0.2), (0.2, None), (None, 0.2), (None, None), (0.0, 0.28), (1.0, 0.0)]


def doubles(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def objective_and_slope(ratio: float, advantage: float, low: float | None, high: float | None) -> tuple[float, float]:
    """Value and derivative with respect to the log-probability of one token."""
    logprob = doubles([math.log(ratio) - 1.5]).requires_grad_()
    value = surrogate_objective(logprob, doubles([-1.5]), doubles([advantage]), clip_low=low, clip_high=high)
    value.sum().backward()
    assert logprob.grad is not None
    return value.item(), logprob.grad.item()


@pytest.mark.parametrize(
    ("ratio", "advantage", "value", "slope"),
    [
        (1.1, 2, 2.2, 2.2),  # inside the band
        (1.5, 2, 2.4, 0),  # above, A > 0: clipped
        (1.5, -2, -3, -3),  # above, A < 0: not clipped
        (0.5, 2, 1, 1),  # below, A > 0: not clipped
        (0.5, -2, -1.6, 0),  # below, A < 0: clipped
        (0.9, -2, -1.8, -1.8),
        (1.5, 0, 0, 0),
    ],
)
def test_each_clip_side_for_each_sign(ratio: float, advantage: float, value: float, slope: float) -> None:
    assert objective_and_slope(ratio, advantage, 0.2, 0.2) == pytest.approx((value, slope))


@pytest.mark.parametrize(("ratio", "advantage"), [(1.5, 2), (0.5, -2), (40, 1), (1e-3, -1), (1e12, 1)])
def test_no_clip_means_no_clip(ratio: float, advantage: float) -> None:
    expected = ratio * advantage
    assert objective_and_slope(ratio, advantage, None, None) == pytest.approx((expected, expected))


def test_one_side_absent_leaves_the_other() -> None:
    assert objective_and_slope(1.5, 2, 0.2, None) == pytest.approx((3, 3))
    assert objective_and_slope(0.5, -2, 0.2, None) == pytest.approx((-1.6, 0))
    assert objective_and_slope(1.5, 2, None, 0.2) == pytest.approx((2.4, 0))
    assert objective_and_slope(0.5, -2, None, 0.2) == pytest.approx((-1, -1))


def test_a_token_on_its_bound_keeps_its_gradient() -> None:
    assert objective_and_slope(1.0, 1.0, 0.0, 0.0) == (1, 1)
    assert objective_and_slope(1.0, -1.0, 0.0, 0.0) == (-1, -1)


def test_a_clip_low_of_one_never_binds() -> None:
    assert objective_and_slope(1e-9, -1, 1.0, 0.2) == pytest.approx((-1e-9, -1e-9))


def test_a_clipped_token_has_no_gradient_even_where_the_ratio_overflows() -> None:
    logprobs = torch.tensor([-1.0], requires_grad=True)
    old, advantages = torch.tensor([-200.0]), torch.tensor([1.0])
    assert (logprobs - old).exp().isinf().all()
    value = surrogate_objective(logprobs, old, advantages, clip_low=0.2, clip_high=0.2)
    value.backward()
    assert value.item() == pytest.approx(1.2)
    assert logprobs.grad is not None
    assert logprobs.grad.item() == 0


@given(
    log_ratio=st.floats(-3, 3),
    advantage=st.floats(-5, 5),
    low=st.floats(0, 0.99),
    high=st.floats(0, 3),
)
def test_equals_the_minimum_in_the_paper(log_ratio: float, advantage: float, low: float, high: float) -> None:
    ratio = math.exp(log_ratio)
    expected = min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)
    value = surrogate_objective(
        doubles([log_ratio]), doubles([0.0]), doubles([advantage]), clip_low=low, clip_high=high
    )
    assert value.item() == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_surrogates_without_a_ratio_ignore_the_bounds() -> None:
    logprob = doubles([math.log(0.25)]).requires_grad_()
    far = doubles([-9.0])
    logp = surrogate_objective(logprob, far, doubles([2]), clip_low=0.2, clip_high=0.2, surrogate="logp")
    prob = surrogate_objective(logprob, far, doubles([2]), clip_low=0.2, clip_high=0.2, surrogate="prob")
    assert (logp.item(), prob.item()) == pytest.approx((2 * math.log(0.25), 0.5))
    (slope_logp,) = torch.autograd.grad(logp.sum(), logprob)
    (slope_prob,) = torch.autograd.grad(prob.sum(), logprob)
    # Defect C13: the public 'no clip' weighs the policy gradient by pi.
    assert (slope_logp.item(), slope_prob.item()) == pytest.approx((2, 0.5))


def test_unknown_words_are_named() -> None:
    one = doubles([0.0])
    with pytest.raises(ValueError, match="cispo"):
        surrogate_objective(one, one, one, clip_low=None, clip_high=None, surrogate="cispo")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dapo"):
        loss_denominator(torch.tensor([3]), norm="dapo", max_tokens=8)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="denominator"):
        token_weights(torch.tensor([0]), norm="token", denominator=0)
    with pytest.raises(ValueError, match="reference_logprobs"):
        grpo_loss(one, one, one, one, clip_low=None, clip_high=None, kl=0.1)
    with pytest.raises(ValueError, match="entropies"):
        grpo_loss(one, one, one, one, clip_low=None, clip_high=None, entropy_bonus=0.1)


def test_k3_by_hand() -> None:
    # policy 1/2, reference 1/4: 1/2 - 1 + ln 2.
    estimate = k3(doubles([math.log(0.5)]), doubles([math.log(0.25)]))
    assert estimate.item() == pytest.approx(0.5 - 1 + math.log(2))


@given(a=st.floats(-20, 0), b=st.floats(-20, 0))
def test_k3_is_never_negative(a: float, b: float) -> None:
    assert k3(doubles([a]), doubles([b])).item() >= 0


def test_k3_is_unbiased_under_the_policy() -> None:
    policy, reference = doubles([0.5, 0.3, 0.2]).log(), doubles([0.2, 0.2, 0.6]).log()
    expected = (policy.exp() * (policy - reference)).sum()
    torch.testing.assert_close((policy.exp() * k3(policy, reference)).sum(), expected)


def random_update(seed: int, lengths: list[int]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    n = sum(lengths)
    old = -torch.rand(n, generator=generator, dtype=torch.float64) * 3
    per_row = torch.randn(len(lengths), generator=generator, dtype=torch.float64)
    return {
        "logprobs": old + 0.4 * torch.randn(n, generator=generator, dtype=torch.float64),
        "old_logprobs": old,
        "advantages": per_row.repeat_interleave(torch.tensor(lengths)),
        "reference_logprobs": old + 0.4 * torch.randn(n, generator=generator, dtype=torch.float64),
        "entropies": torch.rand(n, generator=generator, dtype=torch.float64),
    }


def trl_grpo(objective: Tensor, mask: Tensor, max_tokens: int) -> Tensor:
    return -((objective * mask).sum(-1) / mask.sum(-1)).mean()


def trl_bnpo(objective: Tensor, mask: Tensor, max_tokens: int) -> Tensor:
    return -(objective * mask).sum() / mask.sum()


def trl_dr_grpo(objective: Tensor, mask: Tensor, max_tokens: int) -> Tensor:
    return -(objective * mask).sum() / (len(mask) * max_tokens)


@pytest.mark.parametrize(("norm", "theirs"), [("sequence", trl_grpo), ("token", trl_bnpo), ("constant", trl_dr_grpo)])
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_normalizers_equal_those_of_trl(norm: str, theirs: Callable, lengths: list[int], seed: int) -> None:
    update = random_update(seed, lengths)
    counts = torch.tensor(lengths)
    mask = (torch.arange(max(lengths)) < counts[:, None]).double()
    padded = torch.zeros_like(mask).masked_scatter(
        mask.bool(), (update["logprobs"] - update["old_logprobs"]).exp() * update["advantages"]
    )
    denominator = loss_denominator(counts, norm=norm, max_tokens=12)  # type: ignore[arg-type]
    ours = grpo_loss(
        update["logprobs"],
        update["old_logprobs"],
        update["advantages"],
        token_weights(counts, norm=norm, denominator=denominator),  # type: ignore[arg-type]
        clip_low=None,
        clip_high=None,
    )
    torch.testing.assert_close(ours, theirs(padded, mask, 12), rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ("sequence", [1 / 9, 1 / 9, 1 / 9, 1 / 3]),  # the empty completion counts as a row
        ("token", [1 / 4] * 4),
        ("constant", [1 / 30] * 4),
    ],
)
def test_weights_by_hand(norm: str, expected: list[float]) -> None:
    lengths = torch.tensor([3, 0, 1])
    denominator = loss_denominator(lengths, norm=norm, max_tokens=10)  # type: ignore[arg-type]
    weights = token_weights(lengths, norm=norm, denominator=denominator)  # type: ignore[arg-type]
    torch.testing.assert_close(weights, torch.tensor(expected))


@pytest.mark.parametrize("norm", ["sequence", "token", "constant"])
@given(
    lengths=st.lists(st.integers(1, 9), min_size=2, max_size=6),
    cut=st.integers(1, 5),
    clip=st.sampled_from(CLIPS),
    seed=st.integers(0, 99),
)
def test_micro_batches_add_up(
    norm: str, lengths: list[int], cut: int, clip: tuple[float | None, float | None], seed: int
) -> None:
    update, counts = random_update(seed, lengths), torch.tensor(lengths)
    denominator = loss_denominator(counts, norm=norm, max_tokens=9)  # type: ignore[arg-type]

    def loss_and_gradient(rows: range) -> tuple[Tensor, Tensor]:
        first, last = sum(lengths[: rows.start]), sum(lengths[: rows.stop])
        tokens = {name: values[first:last] for name, values in update.items()}
        logprobs = tokens.pop("logprobs").clone().requires_grad_()
        weights = token_weights(counts[rows.start : rows.stop], norm=norm, denominator=denominator)  # type: ignore[arg-type]
        loss = grpo_loss(
            logprobs,
            weights=weights.double(),
            clip_low=clip[0],
            clip_high=clip[1],
            kl=0.1,
            entropy_bonus=0.01,
            **tokens,
        )
        loss.backward()
        assert logprobs.grad is not None
        return loss.detach(), logprobs.grad

    cut = min(cut, len(lengths) - 1)
    parts = [loss_and_gradient(range(cut)), loss_and_gradient(range(cut, len(lengths)))]
    whole = loss_and_gradient(range(len(lengths)))
    torch.testing.assert_close(parts[0][0] + parts[1][0], whole[0], rtol=1e-12, atol=1e-14)
    assert torch.equal(torch.cat([gradient for _, gradient in parts]), whole[1])


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("surrogate", ["ratio", "logp", "prob"])
def test_gradient_against_finite_differences(clip: tuple[float | None, float | None], surrogate: str) -> None:
    update = random_update(3, [4, 1, 5])
    weights = token_weights(torch.tensor([4, 1, 5]), norm="sequence", denominator=3).double()

    def loss(logprobs: Tensor, entropies: Tensor) -> Tensor:
        return grpo_loss(
            logprobs,
            update["old_logprobs"],
            update["advantages"],
            weights,
            clip_low=clip[0],
            clip_high=clip[1],
            surrogate=surrogate,  # type: ignore[arg-type]
            kl=0.3,
            reference_logprobs=update["reference_logprobs"],
            entropy_bonus=0.2,
            entropies=entropies,
        )

    logprobs, entropies = update["logprobs"].requires_grad_(), update["entropies"].requires_grad_()
    assert torch.autograd.gradcheck(loss, (logprobs, entropies))


def test_every_term_enters_with_its_sign() -> None:
    one = doubles([0.0])
    zero_advantage = {"clip_low": 0.2, "clip_high": 0.2}
    far = doubles([math.log(0.25) - math.log(0.5)])
    base = grpo_loss(one, one, doubles([2.0]), doubles([0.5]), **zero_advantage)
    with_kl = grpo_loss(one, one, doubles([2.0]), doubles([0.5]), kl=4.0, reference_logprobs=far, **zero_advantage)
    with_entropy = grpo_loss(
        one, one, doubles([2.0]), doubles([0.5]), entropy_bonus=3.0, entropies=doubles([7.0]), **zero_advantage
    )
    assert base.item() == pytest.approx(-1)
    assert with_kl.item() == pytest.approx(-1 + 0.5 * 4 * (0.5 - 1 + math.log(2)))
    assert with_entropy.item() == pytest.approx(-1 - 0.5 * 3 * 7)
