from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from spurious.errors import DataError, SpecError
from spurious.grpo.advantage import credit
from spurious.grpo.batch import Minibatch, minibatch, updates
from spurious.grpo.loss import grpo_loss
from spurious.policy.logprobs import Row, completion_logprobs, micro_batches
from spurious.specs import GrpoSpec
from spurious.types import Completion, Grade, Group, Problem, Prompt, Scored

VOCABULARY = 20


def scored_group(name: str, rewards: Sequence[float], lengths: Sequence[int]) -> Scored:
    """A group whose tokens and log-probabilities are a fixed function of its name and sizes."""
    generator = torch.Generator().manual_seed(sum(name.encode()) + sum(lengths))
    completions = []
    for length in lengths:
        tokens = torch.randint(1, VOCABULARY, (length,), generator=generator).tolist()
        logprobs = (-3 * torch.rand(length, generator=generator)).tolist()
        completions.append(Completion("", tuple(tokens), tuple(logprobs), "eos"))
    prompt = Prompt(Problem(name, name, "0", "test"), name, tuple(name.encode()[i] % VOCABULARY for i in range(3)))
    grades = (Grade("wrong", None),) * len(rewards)
    return Scored(Group(prompt, tuple(completions)), "0", tuple(rewards), grades, grades)


BATCH = [
    scored_group("first", [1, 0, 0, 0], [3, 2, 5, 1]),
    scored_group("silent", [1, 1, 1, 1], [4, 4, 2, 6]),
    scored_group("third", [0, 1, 1, 0], [2, 7, 1, 3]),
]
ALL = range(12)


def advantages_of(scored: Sequence[Scored], **options: object) -> Tensor:
    rewards = torch.tensor([group.rewards for group in scored], dtype=torch.float64)
    lengths = torch.tensor([[len(c.token_ids) for c in group.group.completions] for group in scored])
    return credit(rewards, lengths, kind="group_mean", **options)  # type: ignore[arg-type]


@given(
    n_prompts=st.integers(1, 9),
    group_size=st.integers(2, 6),
    m=st.integers(1, 18),
    together=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
)
def test_updates_share_the_rows_evenly(n_prompts: int, group_size: int, m: int, together: bool, seed: int) -> None:
    units = n_prompts if together else n_prompts * group_size
    if m > units:
        with pytest.raises(SpecError, match=f"updates_per_rollout is {m}.*only {units}"):
            updates(n_prompts, group_size, m, keep_groups_together=together, seed_key=seed)
        return
    batches = updates(n_prompts, group_size, m, keep_groups_together=together, seed_key=seed)
    assert len(batches) == m
    assert sorted(row for batch in batches for row in batch) == list(range(n_prompts * group_size))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) - min(sizes) <= (group_size if together else 1)
    assert all(batch == sorted(batch) for batch in batches)
    if together:
        homes = [{row // group_size for row in batch} for batch in batches]
        assert sum(len(home) for home in homes) == n_prompts
    assert batches == updates(n_prompts, group_size, m, keep_groups_together=together, seed_key=seed)


def test_updates_differ_by_key_and_split_groups_unless_told() -> None:
    one, other = (updates(8, 4, 4, keep_groups_together=False, seed_key=key) for key in (1, 2))
    assert one != other
    assert any(len({row // 4 for row in batch}) > 2 for batch in one)
    together = updates(8, 4, 4, keep_groups_together=True, seed_key=1)
    assert all(len({row // 4 for row in batch}) == 2 for batch in together)


def test_every_row_is_as_likely_in_every_update() -> None:
    counts = torch.zeros(6, 2)
    for seed in range(2000):
        for update, batch in enumerate(updates(3, 2, 2, keep_groups_together=False, seed_key=seed)):
            counts[batch, update] += 1
    # Binomial(2000, 1/2): five standard deviations are 112.
    assert (counts - 1000).abs().max() < 112


def test_minibatch_is_flat_in_the_order_of_its_rows() -> None:
    batch = minibatch(BATCH, advantages_of(BATCH), [2, 0, 9], spec=GrpoSpec(), max_tokens=8)
    third, first, ninth = BATCH[0].group.completions[2], BATCH[0].group.completions[0], BATCH[2].group.completions[1]
    assert batch.indices == (2, 0, 9)
    assert batch.rows[2] == Row(BATCH[2].group.prompt.token_ids, ninth.token_ids)
    expected = (*third.sampler_logprobs, *first.sampler_logprobs, *ninth.sampler_logprobs)
    torch.testing.assert_close(batch.sampler_logprobs, torch.tensor(expected))
    torch.testing.assert_close(batch.advantages, torch.tensor([-0.25] * 5 + [0.75] * 3 + [0.5] * 7))
    torch.testing.assert_close(batch.weights, torch.tensor([1 / 15] * 5 + [1 / 9] * 3 + [1 / 21] * 7))
    assert {batch.advantages.dtype, batch.weights.dtype, batch.sampler_logprobs.dtype} == {torch.float32}


def test_rows_without_signal_are_left_out_but_counted() -> None:
    batch = minibatch(BATCH, advantages_of(BATCH), [0, 4, 5, 6], spec=GrpoSpec(), max_tokens=8)
    assert batch.indices == (0,)
    torch.testing.assert_close(batch.weights, torch.tensor([1 / 12] * 3))  # four rows, three tokens


@pytest.mark.parametrize("spec", [GrpoSpec(kl=0.1), GrpoSpec(entropy_bonus=-0.01)])
def test_every_row_stays_where_another_term_speaks_of_it(spec: GrpoSpec) -> None:
    assert minibatch(BATCH, advantages_of(BATCH), ALL, spec=spec, max_tokens=8).indices == tuple(ALL)


@pytest.mark.parametrize("norm", ["sequence", "token", "constant"])
def test_an_update_without_signal_has_no_rows(norm: str) -> None:
    batch = minibatch(
        BATCH, advantages_of(BATCH), [4, 5, 6, 7], spec=GrpoSpec.model_validate({"length_norm": norm}), max_tokens=8
    )
    assert batch.rows == ()
    assert batch.weights.shape == batch.advantages.shape == batch.sampler_logprobs.shape == (0,)


def test_a_completion_without_tokens_needs_no_pass_but_counts() -> None:
    batch = [scored_group("empty", [1, 0, 0], [0, 2, 0])]
    built = minibatch(batch, advantages_of(batch), [0, 1, 2], spec=GrpoSpec(), max_tokens=8)
    assert built.indices == (1,)
    torch.testing.assert_close(built.weights, torch.tensor([1 / 6, 1 / 6]))
    silent = [scored_group("empty", [1, 0], [0, 0])]
    assert minibatch(silent, advantages_of(silent), [0, 1], spec=GrpoSpec(length_norm="token"), max_tokens=8).rows == ()


def test_missing_sampler_logprobs_are_named() -> None:
    completion = Completion("", (1, 2), (-0.5,), "eos")
    whole = BATCH[0]
    broken = Scored(
        Group(whole.group.prompt, (whole.group.completions[0], completion)),
        "0",
        (1.0, 0.0),
        whole.grades[:2],
        whole.strict_grades[:2],
    )
    with pytest.raises(DataError, match="completion 1 of problem first has 2 tokens and 1 sampler"):
        minibatch([broken], advantages_of([broken]), [0, 1], spec=GrpoSpec(), max_tokens=8)


def test_select_follows_positions_and_refuses_none() -> None:
    batch = minibatch(BATCH, advantages_of(BATCH), [0, 1, 8, 9], spec=GrpoSpec(), max_tokens=8)
    part = batch.select([3, 0])
    assert (part.indices, part.lengths) == ((9, 0), [7, 3])
    assert part.rows == (batch.rows[3], batch.rows[0])
    torch.testing.assert_close(part.weights, torch.cat([batch.weights[-7:], batch.weights[:3]]))
    torch.testing.assert_close(part.advantages, torch.cat([batch.advantages[-7:], batch.advantages[:3]]))
    torch.testing.assert_close(
        part.sampler_logprobs, torch.cat([batch.sampler_logprobs[-7:], batch.sampler_logprobs[:3]])
    )
    with pytest.raises(ValueError, match="at least one row"):
        batch.select([])


@pytest.fixture(scope="module")
def model() -> Qwen2ForCausalLM:
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    return Qwen2ForCausalLM(config).double().eval()


def loss_and_gradient(model: Qwen2ForCausalLM, batches: Sequence[Minibatch]) -> tuple[float, list[Tensor]]:
    total = 0.0
    for batch in batches:
        logprobs = completion_logprobs(model, batch.rows, pad_id=0).logprobs
        loss = grpo_loss(
            logprobs, batch.sampler_logprobs, batch.advantages, batch.weights.double(), clip_low=0.2, clip_high=0.2
        )
        loss.backward()
        total += loss.item()
    gradient = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad(set_to_none=True)
    return total, gradient


@pytest.mark.parametrize("norm", ["sequence", "token", "constant"])
def test_leaving_rows_out_and_splitting_are_exact(model: Qwen2ForCausalLM, norm: str) -> None:
    advantages = advantages_of(BATCH)
    spec = GrpoSpec.model_validate({"length_norm": norm})
    lean = minibatch(BATCH, advantages, ALL, spec=spec, max_tokens=8)
    full = minibatch(BATCH, advantages, ALL, spec=spec.model_copy(update={"kl": 1.0}), max_tokens=8)
    assert (len(lean.rows), len(full.rows)) == (8, 12)
    pieces = micro_batches(lean.rows, token_budget=24)
    assert len(pieces) > 2
    expected_loss, expected_gradient = loss_and_gradient(model, [full])
    for batches in ([lean], [lean.select(piece) for piece in pieces]):
        loss, gradient = loss_and_gradient(model, batches)
        assert loss == pytest.approx(expected_loss, rel=1e-6)
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-8)
