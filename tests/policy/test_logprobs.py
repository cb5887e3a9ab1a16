import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_model
from transformers import CohereConfig, CohereForCausalLM, Gemma2Config, Gemma2ForCausalLM, GPT2Config, GPT2LMHeadModel

from spurious.policy import logprobs as rooms
from spurious.policy.logprobs import Row, completion_logprobs, micro_batches, shares_prompts
from spurious.policy.model import Policy


def rows_of(shapes: list[tuple[int, int]], vocabulary: int = 300, seed: int = 0) -> list[Row]:
    generator = torch.Generator().manual_seed(seed)

    def ids(n: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, vocabulary, (n,), generator=generator).tolist())

    return [Row(ids(p), ids(c)) for p, c in shapes]


def group_of(prompts: list[int], completions: list[int], seed: int = 0) -> list[Row]:
    """Rows of several long prompts, interleaved, so that sharing has to put them back in order."""
    heads = [row.prompt_ids for row in rows_of([(p, 1) for p in prompts], seed=seed)]
    tails = rows_of([(1, c) for c in completions], seed=seed + 1)
    return [Row(heads[i % len(heads)], row.completion_ids) for i, row in enumerate(tails)]


def one_by_one(model: torch.nn.Module, rows: list[Row], temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """The slow and obvious way."""
    logprobs, entropies = [], []
    for row in rows:
        everything = (model(torch.tensor([row.prompt_ids + row.completion_ids])).logits[0] / temperature).log_softmax(
            -1
        )
        everything = everything[len(row.prompt_ids) - 1 :][: len(row.completion_ids)]
        logprobs.append(everything[torch.arange(len(everything)), list(row.completion_ids)])
        entropies.append(-(everything.exp() * everything).sum(-1))
    return torch.cat(logprobs), torch.cat(entropies)


PADDED = rows_of([(5, 3), (2, 9), (14, 1), (1, 4)])
SHARED = group_of([70, 90], [3, 1, 8, 5, 12, 7, 2])


@pytest.mark.parametrize("rows", [PADDED, SHARED], ids=["padded", "shared"])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_equals_one_forward_a_row(policy: Policy, rows: list[Row], temperature: float) -> None:
    ours = completion_logprobs(policy.model, rows, pad_id=0, temperature=temperature, with_entropy=True)
    logprobs, entropies = one_by_one(policy.model, rows, temperature)
    torch.testing.assert_close(ours.logprobs, logprobs, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.entropies, entropies, atol=1e-5, rtol=0)


def test_shared_prompts_are_really_shared(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[tuple[int, ...]] = []
    decoder = policy.model.get_decoder()
    hook = decoder.register_forward_pre_hook(
        lambda module, args, kwargs: widths.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    shares_prompts(policy.model)
    widths.clear()
    completion_logprobs(policy.model, SHARED, pad_id=0)
    hook.remove()
    assert widths == [(2, 90), (7, 11)]


@pytest.mark.parametrize("threads", [1, 2])
def test_shared_and_padded_gradients_agree(policy: Policy, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    grads = []
    weights = torch.linspace(-1, 1, sum(len(row.completion_ids) for row in SHARED))
    for threshold in (64, 10**9):
        monkeypatch.setattr(rooms, "SHARED_PROMPT", threshold)
        policy.model.zero_grad()
        (completion_logprobs(policy.model, SHARED, pad_id=0).logprobs * weights).sum().backward()
        grads.append(torch.cat([p.grad.flatten() for p in policy.model.parameters()]))
    policy.model.zero_grad()
    torch.set_num_threads(before)
    assert (grads[0] - grads[1]).norm() / grads[1].norm() < 1e-5


def test_gradients_of_a_shared_prompt_repeat_bit_for_bit(qwen: Policy) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen = set()
    rows = group_of([80, 100, 70], [5] * 12)
    for _ in range(3):
        qwen.model.zero_grad()
        completion_logprobs(qwen.model, rows, pad_id=0).logprobs.sum().backward()
        seen.add(tuple(float(p.grad.double().sum()) for p in qwen.model.parameters()))
    qwen.model.zero_grad()
    torch.set_num_threads(before)
    assert len(seen) == 1


def gemma2() -> torch.nn.Module:
    config = Gemma2Config(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        head_dim=16,
        sliding_window=16,
        final_logit_softcapping=5.0,
    )
    return Gemma2ForCausalLM(config).eval()


def cohere() -> torch.nn.Module:
    config = CohereConfig(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        logit_scale=0.5,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return CohereForCausalLM(config).eval()


def gpt2() -> torch.nn.Module:
    return GPT2LMHeadModel(GPT2Config(vocab_size=300, n_positions=128, n_embd=32, n_layer=2, n_head=2)).eval()


@pytest.mark.parametrize("build", [gemma2, cohere, gpt2])
@pytest.mark.parametrize("rows", [PADDED, SHARED], ids=["padded", "shared"])
def test_other_architectures(build, rows: list[Row]) -> None:
    torch.manual_seed(0)
    model = build()
    ours = completion_logprobs(model, rows, pad_id=0, with_entropy=True)
    logprobs, entropies = one_by_one(model, rows)
    torch.testing.assert_close(ours.logprobs, logprobs, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.entropies, entropies, atol=1e-5, rtol=0)


def test_scaled_logits_are_noticed() -> None:
    assert not rooms._traits(gemma2()).factored
    assert not rooms._traits(cohere()).factored
    assert rooms._traits(gpt2()).factored


def test_a_large_vocabulary_takes_the_chunked_path(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("qwen2", 5000)
    rows = rows_of([(5, 3), (2, 9)], vocabulary=5000)
    ours = completion_logprobs(model, rows, pad_id=0).logprobs
    torch.testing.assert_close(ours, one_by_one(model, rows)[0], atol=1e-5, rtol=0)


def test_a_completion_without_tokens_adds_nothing(qwen: Policy) -> None:
    rows = [PADDED[0], Row((5, 6, 7), ()), PADDED[1]]
    ours = completion_logprobs(qwen.model, rows, pad_id=0).logprobs
    assert len(ours) == 12
    torch.testing.assert_close(ours, one_by_one(qwen.model, rows)[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_greedy_has_no_logprobs(qwen: Policy, temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        completion_logprobs(qwen.model, PADDED, pad_id=0, temperature=temperature)


def test_an_empty_prompt_is_refused(qwen: Policy) -> None:
    with pytest.raises(ValueError, match="prompt without a token"):
        completion_logprobs(qwen.model, [Row((), (5,))], pad_id=0)


shapes = st.lists(st.tuples(st.integers(1, 200), st.integers(1, 60)), min_size=1, max_size=40)


@given(shapes=shapes, budget=st.integers(1, 2000), share=st.booleans(), seed=st.integers(0, 3))
@settings(deadline=None)
def test_micro_batches_partition_the_rows_within_the_budget(
    shapes: list[tuple[int, int]], budget: int, share: bool, seed: int
) -> None:
    rows = [Row(tuple(range(p)), (i,) * c) for i, (p, c) in enumerate(shapes)]
    batches = micro_batches(rows, budget, share_prompts=share)
    assert sorted(i for batch in batches for i in batch) == list(range(len(rows)))
    for batch in batches:
        chosen = [rows[i] for i in batch]
        padded = len(batch) * max(len(row.prompt_ids) + len(row.completion_ids) for row in chosen)
        assert len(batch) == 1 or share or padded <= budget
    assert batches == micro_batches(rows, budget, share_prompts=share)


def test_sharing_fits_more_rows_into_the_budget() -> None:
    rows = group_of([200, 150], [20] * 32)
    assert len(micro_batches(rows, 1000, share_prompts=True)) == 2
    assert len(micro_batches(rows, 1000)) == 8
