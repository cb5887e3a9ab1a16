import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spurious.grpo.advantage import credit, group_advantages, weigh_signs, whiten

RELATIVE = ("group_std", "group_mean", "rloo")


def tensor(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


@st.composite
def reward_batches(draw: st.DrawFn) -> Tensor:
    prompts, size = draw(st.integers(1, 4)), draw(st.integers(2, 8))
    # Sixteenths: spread is either zero or far above the epsilon of the division.
    value = st.integers(-64, 64).map(lambda n: n / 16)
    return torch.tensor([[draw(value) for _ in range(size)] for _ in range(prompts)], dtype=torch.float64)


def test_group_std_by_hand() -> None:
    # mean 1/4, squared deviations 9/16 + 3/16 = 3/4, over G - 1 = 3: std 1/2.
    advantages = group_advantages(tensor([1, 0, 0, 0]), kind="group_std")
    torch.testing.assert_close(advantages, tensor([1.5, -0.5, -0.5, -0.5]), rtol=1e-8, atol=0)


def test_group_mean_by_hand() -> None:
    advantages = group_advantages(tensor([1, 0, 0, 1], [3, 1, 1, 1]), kind="group_mean")
    torch.testing.assert_close(advantages, tensor([0.5, -0.5, -0.5, 0.5], [1.5, -0.5, -0.5, -0.5]))


def test_rloo_by_hand() -> None:
    advantages = group_advantages(tensor([1, 0, 0, 1]), kind="rloo")
    torch.testing.assert_close(advantages, tensor([2 / 3, -2 / 3, -2 / 3, 2 / 3]))


def test_batch_uses_the_mean_and_std_of_all_groups() -> None:
    # mean 1/2, squared deviations 6/4 over 5: std sqrt(0.3).
    advantages = group_advantages(tensor([1, 1, 1], [0, 0, 0]), kind="batch")
    unit = 0.5 / math.sqrt(0.3)
    torch.testing.assert_close(advantages, tensor([unit] * 3, [-unit] * 3), rtol=1e-8, atol=0)


def test_none_is_the_reward() -> None:
    rewards = tensor([0.25, -3, 7, 0])
    assert torch.equal(group_advantages(rewards, kind="none"), rewards)


def test_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="median"):
        group_advantages(tensor([1, 0]), kind="median")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [*RELATIVE, "batch"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -0.7, 1e6 + 0.1])
@pytest.mark.parametrize("size", [2, 3, 7, 16])
def test_equal_rewards_give_exactly_zero(kind: str, value: float, size: int) -> None:
    advantages = group_advantages(torch.full((3, size), value, dtype=torch.float64), kind=kind)  # type: ignore[arg-type]
    assert not advantages.any()
    assert not whiten(advantages.flatten(), torch.arange(1, 3 * size + 1)).any()


@pytest.mark.parametrize("kind", RELATIVE)
@given(rewards=reward_batches())
def test_relative_advantages_sum_to_zero_in_each_group(kind: str, rewards: Tensor) -> None:
    sums = group_advantages(rewards, kind=kind).sum(dim=1)  # type: ignore[arg-type]
    torch.testing.assert_close(sums, torch.zeros_like(sums), rtol=0, atol=1e-9)


@given(rewards=reward_batches(), scale=st.floats(0.5, 100), shift=st.floats(-100, 100))
def test_group_std_ignores_scale_and_shift(rewards: Tensor, scale: float, shift: float) -> None:
    torch.testing.assert_close(
        group_advantages(rewards * scale + shift, kind="group_std")[rewards.std(dim=1) > 0],
        group_advantages(rewards, kind="group_std")[rewards.std(dim=1) > 0],
        rtol=1e-6,
        atol=1e-6,
    )


@given(rewards=reward_batches(), kind=st.sampled_from([*RELATIVE, "batch", "none"]), data=st.data())
def test_advantages_follow_a_permutation_of_the_group(rewards: Tensor, kind: str, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(rewards.shape[1])))
    torch.testing.assert_close(
        group_advantages(rewards[:, order], kind=kind),  # type: ignore[arg-type]
        group_advantages(rewards, kind=kind)[:, order],  # type: ignore[arg-type]
    )


@given(rewards=reward_batches(), kind=st.sampled_from(RELATIVE))
def test_a_group_does_not_know_the_others(rewards: Tensor, kind: str) -> None:
    together = group_advantages(rewards, kind=kind)  # type: ignore[arg-type]
    alone = torch.cat([group_advantages(row[None], kind=kind) for row in rewards])  # type: ignore[arg-type]
    assert torch.equal(together, alone)


def test_whiten_by_hand() -> None:
    # Tokens 1 1 1 and 5: mean 2, variance (3 x 1 + 9) / 4 = 3.
    whitened = whiten(tensor([1.0, 5.0])[0], torch.tensor([3, 1]))
    torch.testing.assert_close(whitened, tensor([-1 / math.sqrt(3), math.sqrt(3)])[0])


@given(
    values=st.lists(st.integers(-40, 40).map(lambda n: n / 8), min_size=2, max_size=6),
    lengths=st.lists(st.integers(1, 9), min_size=6, max_size=6),
)
def test_whiten_equals_the_replay_buffer_of_the_papers_code(values: list[float], lengths: list[int]) -> None:
    tokens = [value for value, length in zip(values, lengths, strict=False) for _ in range(length)]
    mean = math.fsum(tokens) / len(tokens)
    variance = max(math.fsum((token - mean) ** 2 for token in tokens) / len(tokens), 1e-8)
    expected = torch.tensor([(value - mean) / math.sqrt(variance) for value in values], dtype=torch.float64)
    whitened = whiten(torch.tensor(values, dtype=torch.float64), torch.tensor(lengths[: len(values)]))
    torch.testing.assert_close(whitened, expected, rtol=1e-9, atol=1e-9)


def test_defect_c11_whitening_invents_advantages_and_inflates_rare_signal() -> None:
    rewards = torch.zeros(64, 16, dtype=torch.float64)
    rewards[0, 0] = 1
    lengths = torch.full((64, 16), 10)
    plain = credit(rewards, lengths, kind="group_std")
    assert plain[0, 0].item() == pytest.approx(3.75)
    assert not plain[1:].any()
    assert credit(rewards, lengths, kind="group_std", whitened=True)[0, 0].item() == pytest.approx(31, abs=1)

    lengths[0, 0] = 200  # One long winner moves the token mean, and every silent group is now punished.
    assert (credit(rewards, lengths, kind="group_std", whitened=True)[1:] < 0).all()


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1.0])
def test_whitening_a_constant_leaves_exactly_nothing(value: float) -> None:
    rewards = torch.full((3, 5), value, dtype=torch.float64)
    lengths = torch.arange(1, 16).view(3, 5)
    assert not credit(rewards, lengths, kind="none", whitened=True).any()


def test_whitening_comes_before_the_weights_of_the_signs() -> None:
    rewards, lengths = tensor([1, 0, 0, 1]), torch.tensor([[4, 1, 3, 2]])
    praise = credit(rewards, lengths, kind="group_std", whitened=True, negative_weight=0)
    assert (praise[0, [1, 2]] == 0).all()
    assert (praise[0, [0, 3]] > 0).all()


def test_weights_of_the_signs() -> None:
    weighed = weigh_signs(tensor([2, 0, -2]), positive=0.1, negative=3)
    torch.testing.assert_close(weighed, tensor([0.2, 0, -6]))


def test_integer_and_half_precision_rewards_are_computed_in_double() -> None:
    assert group_advantages(torch.tensor([[1, 0]]), kind="group_mean").tolist() == [[0.5, -0.5]]
    assert group_advantages(torch.tensor([[1, 0]], dtype=torch.float16), kind="rloo").dtype == torch.float64
