"""The account of memory, held against what torch really allocates on an organism."""

from dataclasses import replace

import pytest
import torch

from spurious.grpo.memory import (
    GB,
    largest_budget,
    largest_rows,
    memory,
    optimizer_bytes,
)
from spurious.grpo.optimizer import make_optimizer, state_tensors
from spurious.policy.body import body, cache_bytes, configuration, saved_bytes
from spurious.policy.decoding import ModelDecoding
from spurious.policy.fused import FusedDecoding
from spurious.policy.lora import attach, halve_frozen
from spurious.policy.model import load
from spurious.policy.sampler import TorchSampler, padded_width
from spurious.specs import GrpoSpec, LoraSpec, RunSpec, SamplingSpec
from spurious.store.adapter import AdapterBase
from spurious.types import Problem, Prompt


def nbytes(tensors):
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def run(model="m", **changes):
    fields = {"model": str(model), "task": "chain", "reward": "random", "steps": 1, **changes}
    return RunSpec.model_validate(fields)


@pytest.fixture(scope="module")
def measured(organism_dirs):
    return {family: body(configuration(str(path))) for family, path in organism_dirs.items()}


@pytest.mark.parametrize("family", ["qwen2", "llama", "olmo2"])
@pytest.mark.parametrize("grpo", [{}, {"optimizer": "sgd"}, {"optimizer": "sgd", "momentum": 0.9}])
def test_weights_gradients_and_optimizer_state_are_exact(organism_dirs, measured, family, grpo):
    policy, spec = load(str(organism_dirs[family])), GrpoSpec(**grpo)
    weights = list(policy.model.parameters())
    optimizer = make_optimizer(weights, spec)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    gradients = nbytes(weight.grad for weight in weights)
    optimizer.step()
    account = memory(run(organism_dirs[family], grpo=grpo), measured[family])
    lines = {(item.phase, item.what.split(" (")[0]): item.bytes for item in account.items}
    assert lines["always", "weights"] == lines["always", "frozen reference"] == nbytes(weights)
    assert lines["learning", "gradients"] == gradients
    assert lines["always", "optimizer state"] == nbytes(state_tensors(optimizer).values())
    assert optimizer_bytes(spec, measured[family]) == lines["always", "optimizer state"]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("family", ["qwen2", "llama", "olmo2"])
def test_the_cache_has_the_size_that_is_reckoned(organism_dirs, measured, monkeypatch, family, half):
    policy = load(str(organism_dirs[family]))
    sizes = []
    step, fused_step = ModelDecoding.step, FusedDecoding.step

    def watched(decoding, tokens):
        logits = step(decoding, tokens)
        sizes.append(cache_bytes(decoding.cache))
        return logits

    def fused(decoding, tokens):
        sizes.append(sum(tensor.nbytes for tensor in (*decoding.keys, *decoding.values)))
        return fused_step(decoding, tokens)

    sampler = TorchSampler(policy)
    monkeypatch.setattr(ModelDecoding, "step", watched)
    monkeypatch.setattr(FusedDecoding, "step", fused)
    prompt = Prompt(Problem("p", "?", "1", "test"), "?", tuple(range(5, 45)), 0)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        (group,) = sampler.sample([prompt], 6, SamplingSpec(max_tokens=4), ("test",))
    assert {completion.stop for completion in group.completions} == {"length"}
    per_token = measured[family].cached["bfloat16" if half else "float32"]
    assert max(sizes) == 6 * (padded_width(40) + 4 - 1) * per_token
    sizes_of_a_number = (2, 4) if half else (4,)
    assert per_token in {3 * 48 * (keys + values) for keys in sizes_of_a_number for values in sizes_of_a_number}


def test_what_is_counted_follows_the_specification(measured):
    body = measured["qwen2"]

    def lines(**changes):
        return {(item.phase, item.what.split(",")[0]): item.bytes for item in memory(run(**changes), body).items}

    plain = lines()
    assert ("always", "frozen reference") not in lines(measure_kl=False)
    assert ("always", "frozen reference") in lines(measure_kl=False, grpo={"kl": 0.1})
    assert plain["learning", "activations of 16384 tokens"] == 16384 * body.saved["float32"]
    halved = lines(token_budget=8192, dtype="bfloat16")
    assert halved["learning", "activations of 8192 tokens"] == 8192 * body.saved["bfloat16"]
    assert halved["sampling", "copies of the weights"] == 2 * (body.linear + body.vocabulary * body.width)
    again = {"policy": {"gradient_checkpointing": True}}
    assert lines(**again)["learning", "activations of 16384 tokens"] == 16384 * body.recomputed["float32"]
    few = {"prompts_per_rollout": 1, "group_size": 2, "updates_per_rollout": 2}
    # no update holds more than one row here: a prompt of 512 - 128 tokens and 128 of completion
    assert ("learning", "activations of 512 tokens") in lines(grpo=few)
    assert ("sampling", "key/value cache") in plain


def test_the_largest_values_that_fit_do_and_one_more_does_not(measured):
    body, spec, device = measured["qwen2"], run(), GB // 4
    budget, rows = largest_budget(spec, body, device), largest_rows(spec, body, device)
    for field, value, phase in (("token_budget", budget, "learning"), ("sampling_rows", rows, "sampling")):
        needed = [
            account.total("always") + account.total(phase)
            for account in (memory(spec.model_copy(update={field: n}), body) for n in (value, value + 1))
        ]
        assert needed[0] <= device < needed[1], field
    assert largest_budget(spec, body, 4 * body.parameters) is None


def test_the_account_of_an_adapter_is_exact_where_it_says_so(organism_dir):
    pytest.importorskip("peft", reason="needs the extra large")
    lora = {"lora": {"r": 4}}
    policy = load(str(organism_dir))
    attach(policy.model, LoraSpec(r=4), AdapterBase("m", None), 0)
    halve_frozen(policy.model)
    trained = [weights for weights in policy.model.parameters() if weights.requires_grad]
    measured = body(configuration(str(organism_dir)), LoraSpec(r=4))
    account = memory(run(organism_dir, policy=lora, dtype="bfloat16"), measured)
    lines = {(item.phase, item.what.split(" (")[0]): item.bytes for item in account.items}
    assert lines["always", "adapter"] == lines["learning", "gradients"] == nbytes(trained)
    assert lines["always", "weights"] + nbytes(trained) == nbytes(policy.model.parameters())
    assert lines["always", "optimizer state"] == 2 * nbytes(trained) + 4 * len(trained)
    assert ("always", "frozen reference") not in lines
    ids = torch.arange(5, 69).view(2, 32)
    with torch.autocast("cpu", torch.bfloat16):
        kept = saved_bytes(lambda: policy.model.get_decoder()(input_ids=ids, use_cache=False), policy.model)
    reckoned = ids.numel() * measured.saved["bfloat16"]  # frozen norms keep less than trained ones
    assert 0.8 * reckoned < kept <= reckoned


def test_moments_of_8_bits_are_exact(measured):
    pytest.importorskip("bitsandbytes", reason="needs the extra large")
    spec, weights = GrpoSpec(optimizer="adamw_8bit"), [torch.nn.Parameter(torch.ones(n)) for n in (5000, 4096, 7)]
    optimizer = make_optimizer(weights, spec)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    shared = ("step", "qmap1", "qmap2")
    held = nbytes(value for name, value in state_tensors(optimizer).items() if not name.endswith(shared))
    assert optimizer_bytes(spec, replace(measured["qwen2"], trained=(5000, 4096, 7))) == held
