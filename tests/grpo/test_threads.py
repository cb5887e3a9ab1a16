"""A small model's update on two threads: the same sums but for rounding, and the same bits every time."""

import json

import pytest
import torch
from safetensors.torch import load_file

from spurious.grpo.learner import cut_rows
from spurious.grpo.trainer import train
from spurious.policy.logprobs import Row, even_budget, micro_batches
from spurious.policy.model import load
from spurious.policy.sampler import TorchSampler
from spurious.policy.threads import add_gradients, in_threads, replicas, threads_for
from spurious.specs import RunSpec, SamplingSpec
from spurious.types import Problem, Prompt


def spec(model, **grpo):
    return RunSpec.model_validate(
        {
            "model": str(model),
            "task": {"chain": {"steps": 1, "size": 16}},
            "reward": "random",
            "grpo": {"prompts_per_rollout": 4, "group_size": 4, "updates_per_rollout": 2, **grpo},
            "sampling": {"max_tokens": 12},
            "steps": 2,
        }
    )


@pytest.fixture
def on_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def trained(directory):
    (*_, last) = sorted((directory / "checkpoints").iterdir())
    rows = map(json.loads, (directory / "metrics.jsonl").read_text().splitlines())
    return load_file(last / "model.safetensors"), list(rows)


@pytest.mark.parametrize("kl", [0.0, 0.1])
def test_two_threads_learn_what_one_does_and_repeat_to_the_bit(organism_dir, tmp_path, on_threads, kl):
    found = {}
    for name, threads in (("one", 1), ("two", 2), ("again", 2)):
        on_threads(threads)
        found[name] = trained(train(spec(organism_dir, kl=kl), tmp_path / name))
        assert torch.get_num_threads() == threads
    (one, ours), (two, theirs), (again, _) = found.values()
    for name, weights in two.items():
        assert torch.equal(weights, again[name])
        torch.testing.assert_close(weights, one[name], atol=1e-5, rtol=0)
    for mine, other in zip(ours, theirs, strict=True):
        for name in ("loss/mean", "optim/grad_norm", "entropy/mean", "tokens/trained", "rows/trained"):
            assert mine[name] == pytest.approx(other[name], rel=1e-3, abs=1e-6), name


def test_recomputed_logprobs_have_the_bits_of_the_update_on_two_threads(organism_dir, tmp_path, on_threads):
    on_threads(2)
    _, rows = trained(train(spec(organism_dir, old_logprobs="recomputed", updates_per_rollout=1), tmp_path / "run"))
    assert [row["ratio/largest_deviation"] for row in rows] == [0, 0]


def test_replicas_see_every_change_of_the_weights_and_keep_their_gradients(organism_dir):
    policy = load(str(organism_dir), device="cpu")
    first, second, third = replicas(policy, 3)
    assert first is policy
    name, weights = next(iter(policy.model.named_parameters()))
    with torch.no_grad():
        weights.fill_(3.0)
    for number, one in enumerate((first, second, third), 1):
        mine = dict(one.model.named_parameters())[name]
        assert torch.equal(mine, weights)
        mine.grad = torch.full_like(mine, float(number))
    add_gradients([first, second, third])
    assert torch.equal(weights.grad, torch.full_like(weights, 6.0))
    assert dict(second.model.named_parameters())[name].grad is None


def test_passes_at_once_share_the_budget_and_cost_about_the_same(organism_dir, on_threads):
    on_threads(2)
    policy = load(str(organism_dir), device="cpu")
    assert threads_for(policy.model) == 2
    rows = [Row((1, 2, 3), tuple(range(5, 5 + n))) for n in range(1, 33)]
    costs = [len(cut) * max(3 + len(rows[i].completion_ids) for i in cut) for cut in micro_batches(rows, 10_000)]
    assert len(costs) == 1
    halves = cut_rows(spec(organism_dir), policy, rows, 2)
    assert sorted(i for cut in halves for i in cut) == list(range(32))
    costs = [len(cut) * max(3 + len(rows[i].completion_ids) for i in cut) for cut in halves]
    assert len(costs) == 2
    assert max(costs) < 1.2 * min(costs)
    small = spec(organism_dir).model_copy(update={"token_budget": 100})
    assert all(
        len(cut) * max(3 + len(rows[i].completion_ids) for i in cut) <= 50 for cut in cut_rows(small, policy, rows, 2)
    )
    assert even_budget([], 2) == 1


def test_what_fails_in_a_thread_fails_in_its_turn(on_threads):
    on_threads(2)

    def work(item):
        if item == 2:
            raise ValueError("two")
        return item

    got = []
    with pytest.raises(ValueError, match="two"):
        got.extend(in_threads(work, [1, 2, 3], 2))
    assert torch.get_num_threads() == 2
    assert list(in_threads(work, [3, 4, 5], 2)) == [3, 4, 5]


def test_a_consumer_that_fails_leaves_the_threads_as_they_were(organism_dir, on_threads):
    """As a journal does whose disk is full; the exception is kept, and its frames with it, as a notebook keeps it."""
    on_threads(2)
    policy = load(str(organism_dir), device="cpu")
    prompts = [Prompt(Problem(f"p{i}", "?", "1", "test"), "?", (5, 6, 7), 0) for i in range(4)]

    def full(place, group):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left") as kept:
        TorchSampler(policy).sample(prompts, 4, SamplingSpec(max_tokens=4), ("test",), on_group=full)
    assert torch.get_num_threads() == 2
    assert kept.tb is not None
