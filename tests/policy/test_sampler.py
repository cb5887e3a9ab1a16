from collections.abc import Sequence

import pytest
import torch
from tiny_models import tiny_model
from transformers import GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM

from spurious.errors import InputError, NumericalError
from spurious.keys import key, uniforms
from spurious.policy import model as policies
from spurious.policy import sampler
from spurious.policy.fused import fusible
from spurious.policy.logprobs import Row, completion_logprobs
from spurious.policy.model import Policy
from spurious.policy.sampler import TorchSampler
from spurious.specs import SamplingSpec
from spurious.types import Completion, Group, Problem, Prompt

SCOPE = ("test", 7)
SAMPLING = SamplingSpec(max_tokens=12)


def prompts_of(lengths: Sequence[int]) -> list[Prompt]:
    """Random prompts of the given lengths, without special tokens."""
    return [
        Prompt(Problem(f"p{i}", "q", "a", "test"), "text", tuple(int(3 + 300 * u) for u in uniforms(key("ids", i), n)))
        for i, n in enumerate(lengths)
    ]


MIXED = prompts_of([3, 40, 17, 33, 31, 32, 9, 64] * 4)


def flat(groups: Sequence[Group]) -> list[Completion]:
    return [completion for group in groups for completion in group.completions]


def reference(policy: Policy, prompt: Prompt, i: int, sampling: SamplingSpec) -> list[int]:
    """One row, one full forward pass a token, no cache, no padding."""
    u = uniforms(key(*SCOPE, prompt.problem.id, prompt.copy, i), sampling.max_tokens)
    ids = list(prompt.token_ids)
    for t in range(sampling.max_tokens):
        logits = policy.model(torch.tensor([ids])).logits[0, -1].double()
        if sampling.temperature == 0:
            token = int(logits.argmax())
        else:
            cdf = (logits / sampling.temperature).softmax(-1).cumsum(-1)
            token = int((cdf > u[t] * cdf[-1]).nonzero()[0])
        ids.append(token)
        if token in policy.eos_ids:
            break
    return ids[len(prompt.token_ids) :]


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_equals_sampling_one_row_at_a_time(policy: Policy, temperature: float) -> None:
    sampling = SamplingSpec(max_tokens=12, temperature=temperature)
    groups = TorchSampler(policy).sample(MIXED[:8], 2, sampling, SCOPE)
    for prompt, group in zip(MIXED[:8], groups, strict=True):
        assert group.prompt == prompt
        for i, completion in enumerate(group.completions):
            assert list(completion.token_ids) == reference(policy, prompt, i, sampling)


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_reports_the_logprobs_that_training_computes(policy: Policy, temperature: float) -> None:
    sampling = SamplingSpec(max_tokens=20, temperature=temperature)
    groups = TorchSampler(policy).sample(MIXED[:8], 4, sampling, SCOPE, confidence=True)
    rows = [Row(group.prompt.token_ids, c.token_ids) for group in groups for c in group.completions]
    with torch.no_grad():
        ours = completion_logprobs(policy.model, rows, pad_id=0, temperature=temperature, with_entropy=True)
    sampled = torch.tensor([x for c in flat(groups) for x in c.sampler_logprobs])
    entropies = torch.tensor([x for c in flat(groups) for x in c.entropies])
    torch.testing.assert_close(ours.logprobs, sampled, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.entropies, entropies, atol=1e-5, rtol=0)
    assert all(len(c.self_certainties) == len(c.token_ids) and min(c.self_certainties) > 0 for c in flat(groups))


def test_confidence_is_empty_unless_asked_for(qwen: Policy) -> None:
    (group,) = TorchSampler(qwen).sample(MIXED[:1], 1, SAMPLING, SCOPE)
    assert group.completions[0].entropies == group.completions[0].self_certainties == ()


def test_a_group_alone_equals_the_group_among_31_others(policy: Policy) -> None:
    sampler = TorchSampler(policy)
    together = sampler.sample(MIXED, 5, SAMPLING, SCOPE, confidence=True)
    for i in (0, 1, 2, 13, 31):
        assert sampler.sample([MIXED[i]], 5, SAMPLING, SCOPE, confidence=True) == [together[i]]


def test_the_order_of_prompts_does_not_matter(policy: Policy) -> None:
    sampler = TorchSampler(policy)
    order = [(7 * i) % 32 for i in range(32)]
    together = sampler.sample(MIXED, 3, SAMPLING, SCOPE)
    assert sampler.sample([MIXED[i] for i in order], 3, SAMPLING, SCOPE) == [together[i] for i in order]


def test_batch_limit_and_number_of_samples_do_not_matter(policy: Policy) -> None:
    together = TorchSampler(policy).sample(MIXED[:6], 5, SAMPLING, SCOPE)
    assert TorchSampler(policy, max_rows=3).sample(MIXED[:6], 5, SAMPLING, SCOPE) == together
    single = TorchSampler(policy).sample(MIXED[:6], 1, SAMPLING, SCOPE)
    assert [g.completions[0] for g in single] == [g.completions[0] for g in together]


@pytest.mark.usefixtures("two_threads")
def test_two_threads_sample_what_one_does_in_any_company(policy: Policy) -> None:
    """Where attention gives itself away without MKL_CBWR: two threads, few rows against many."""
    sampling = SamplingSpec(max_tokens=5)
    sampler = TorchSampler(policy)
    together = sampler.sample(MIXED[:16], 3, sampling, SCOPE, confidence=True)
    assert sampler.sample(MIXED[3:5], 3, sampling, SCOPE, confidence=True) == together[3:5]
    assert sampler.sample(MIXED[15::-1], 3, sampling, SCOPE, confidence=True) == together[::-1]
    torch.set_num_threads(1)
    assert sampler.sample(MIXED[:16], 3, sampling, SCOPE, confidence=True) == together


def test_when_others_finish_does_not_matter(policy: Policy) -> None:
    """A third of the vocabulary ends a row here, so rows are dropped at every step."""
    ending = policies.frozen_copy(policy)
    ending.model.generation_config.eos_token_id = list(range(2, 100))
    sampler = TorchSampler(ending)
    together = sampler.sample(MIXED, 4, SAMPLING, SCOPE)
    assert len({len(c.token_ids) for c in flat(together)}) > 4
    assert [sampler.sample([prompt], 4, SAMPLING, SCOPE)[0] for prompt in MIXED] == together


def test_copies_of_a_problem_draw_their_own_noise(qwen: Policy) -> None:
    prompt = MIXED[0]
    again = Prompt(prompt.problem, prompt.text, prompt.token_ids, copy=1)
    first, second = TorchSampler(qwen).sample([prompt, again], 2, SAMPLING, SCOPE)
    assert len({c.token_ids for c in flat([first, second])}) == 4


def test_scope_changes_the_draws(qwen: Policy) -> None:
    sampler = TorchSampler(qwen)
    assert sampler.sample(MIXED[:1], 2, SAMPLING, ("a",)) != sampler.sample(MIXED[:1], 2, SAMPLING, ("b",))


def test_the_end_token_is_kept_in_ids_and_left_out_of_the_text(qwen: Policy) -> None:
    ending = policies.frozen_copy(qwen)
    ending.model.generation_config.eos_token_id = list(range(50, 200))
    completions = flat(TorchSampler(ending).sample(MIXED, 4, SAMPLING, SCOPE))
    ended = [c for c in completions if c.stop == "eos"]
    assert ended
    for c in ended:
        assert c.token_ids[-1] in ending.eos_ids
        assert len(c.sampler_logprobs) == len(c.token_ids)
        assert c.text == policies.decode(ending, c.token_ids[:-1])
    assert all(len(c.token_ids) == 12 for c in completions if c.stop == "length")


def test_special_tokens_inside_a_completion_stay_visible(qwen: Policy) -> None:
    talker = policies.frozen_copy(qwen)
    with torch.no_grad():
        talker.model.model.norm.weight.zero_()
    talker.model.lm_head = torch.nn.Linear(48, len(talker.tokenizer))
    with torch.no_grad():
        talker.model.lm_head.bias.zero_()[1] = 100.0
    (group,) = TorchSampler(talker).sample(MIXED[:1], 1, SamplingSpec(max_tokens=3), SCOPE)
    assert group.completions[0].text == "<bos><bos><bos>"
    assert group.completions[0].stop == "length"


@pytest.mark.parametrize("include", [False, True])
def test_stop_strings_end_a_row(qwen: Policy, include: bool) -> None:
    free = flat(TorchSampler(qwen).sample(MIXED, 2, SAMPLING, SCOPE))
    stop = free[0].text[3:5]
    sampling = SAMPLING.model_copy(update={"stop": (stop,), "include_stop": include})
    stopped = flat(TorchSampler(qwen).sample(MIXED, 2, sampling, SCOPE))
    for without, c in zip(free, stopped, strict=True):
        head, found, _ = without.text.partition(stop)
        assert c.stop == ("stop" if found else without.stop)
        assert c.text == head + (found if include else "")
        assert c.token_ids == without.token_ids[: len(c.token_ids)]
        assert len(c.sampler_logprobs) == len(c.token_ids)
    assert stopped[0].stop == "stop"
    assert len(stopped[0].token_ids) < 12


def test_groups_are_announced_once_complete(qwen: Policy) -> None:
    announced: dict[int, Group] = {}
    groups = TorchSampler(qwen, max_rows=4).sample(MIXED[:5], 3, SAMPLING, SCOPE, on_group=announced.__setitem__)
    assert [announced[i] for i in range(5)] == groups


def test_no_prompts_no_groups(qwen: Policy) -> None:
    assert TorchSampler(qwen).sample([], 3, SAMPLING, SCOPE) == []


@pytest.mark.usefixtures("two_threads")
def test_threads_compute_in_the_callers_precision_and_pass_on_what_fails(qwen: Policy) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        halves = TorchSampler(qwen).sample(MIXED[:4], 3, SAMPLING, SCOPE)
        torch.set_num_threads(1)
        assert TorchSampler(qwen).sample(MIXED[:4], 3, SAMPLING, SCOPE) == halves
    torch.set_num_threads(2)
    assert TorchSampler(qwen).sample(MIXED[:4], 3, SAMPLING, SCOPE) != halves
    broken = policies.frozen_copy(qwen)
    with torch.no_grad():
        broken.model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(NumericalError, match="logits are not finite"):
        TorchSampler(broken).sample(MIXED[:4], 3, SAMPLING, SCOPE)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("prompts", [MIXED[:8], prompts_of([20] * 16)], ids=["widths", "many"])
def test_fused_steps_have_the_bits_of_the_models_own(
    policy: Policy, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fusible(policy.model)
    fused = TorchSampler(policy).sample(prompts, 3, SAMPLING, SCOPE, confidence=True)
    monkeypatch.setattr(sampler, "fusible", lambda model: False)
    assert TorchSampler(policy).sample(prompts, 3, SAMPLING, SCOPE, confidence=True) == fused


def test_fused_steps_see_weights_that_have_changed(qwen: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = policies.frozen_copy(qwen)
    sampling = TorchSampler(trained)
    before = sampling.sample(MIXED[:4], 2, SAMPLING, SCOPE)
    with torch.no_grad():
        trained.model.model.layers[0].self_attn.k_proj.weight.add_(0.1)
    after = sampling.sample(MIXED[:4], 2, SAMPLING, SCOPE)
    assert after != before
    monkeypatch.setattr(sampler, "fusible", lambda model: False)
    assert TorchSampler(trained).sample(MIXED[:4], 2, SAMPLING, SCOPE) == after


def test_what_a_fused_step_does_not_know_is_left_to_the_model(qwen: Policy) -> None:
    scaled = policies.frozen_copy(qwen).model
    scaled.get_output_embeddings().register_forward_hook(lambda module, args, output: output * 1.5)
    assert not fusible(scaled)
    windowed = {"use_sliding_window": True, "sliding_window": 2, "max_window_layers": 0}
    assert not fusible(tiny_model("qwen2", 308, **windowed).eval())
    assert not fusible(tiny_model("llama", 308, hidden_act="gelu").eval())
    assert not fusible(mistral())
    assert not fusible(gpt2())


def mistral() -> torch.nn.Module:
    config = MistralConfig(
        vocab_size=308,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        sliding_window=8,
    )
    return MistralForCausalLM(config).eval()


def gpt2() -> torch.nn.Module:
    return GPT2LMHeadModel(GPT2Config(vocab_size=308, n_positions=128, n_embd=32, n_layer=2, n_head=2)).eval()


@pytest.mark.parametrize("build", [mistral, gpt2])
def test_other_architectures(qwen: Policy, build) -> None:
    """A sliding window shorter than the prompt, and learned positions."""
    torch.manual_seed(0)
    other = Policy(build(), qwen.tokenizer, qwen.device, qwen.dtype, "memory")
    groups = TorchSampler(other).sample(MIXED[:4], 2, SAMPLING, SCOPE)
    for prompt, group in zip(MIXED[:4], groups, strict=True):
        for i, completion in enumerate(group.completions):
            assert list(completion.token_ids) == reference(other, prompt, i, SAMPLING)


def test_too_long_for_the_positions(qwen: Policy) -> None:
    with pytest.raises(InputError, match=r"problem p0: 3 prompt tokens and max_tokens 510 exceed .* 512 positions"):
        TorchSampler(qwen).sample(MIXED[:1], 1, SamplingSpec(max_tokens=510), SCOPE)


def test_a_prompt_without_tokens(qwen: Policy) -> None:
    with pytest.raises(InputError, match="problem x: its prompt has no tokens"):
        TorchSampler(qwen).sample([Prompt(Problem("x", "q", "a", "t"), "", ())], 1, SAMPLING, SCOPE)


def test_broken_weights_are_noticed(qwen: Policy) -> None:
    broken = policies.frozen_copy(qwen)
    with torch.no_grad():
        broken.model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(NumericalError, match="not finite at completion token 0"):
        TorchSampler(broken).sample(MIXED[:1], 1, SAMPLING, SCOPE)


def test_a_large_vocabulary(qwen: Policy) -> None:
    large = Policy(tiny_model("llama", 5000), qwen.tokenizer, qwen.device, qwen.dtype, "memory")
    (group,) = TorchSampler(large).sample(MIXED[1:2], 2, SAMPLING, SCOPE)
    for i, completion in enumerate(group.completions):
        assert list(completion.token_ids) == reference(large, MIXED[1], i, SAMPLING)
