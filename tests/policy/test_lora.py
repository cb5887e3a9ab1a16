"""An adapter beside the weights: what it computes, what is written, what is read back, what is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from spurious.errors import CheckpointError, SpecError, StoreError
from spurious.policy.fused import fusible
from spurious.policy.logprobs import Row, completion_logprobs
from spurious.policy.lora import adapters, attach, base_of, halve_frozen, restore_adapter, switched_off
from spurious.policy.model import load, load_tokenizer, save
from spurious.specs import LoraSpec
from spurious.store import model_digest

pytest.importorskip("peft", reason="needs the extra large")

ROWS = [Row(tuple(range(5, 25)), tuple(range(30, 40))), Row(tuple(range(7, 15)), tuple(range(50, 53)))]


def adapted(directory, seed=0, **lora):
    policy = load(str(directory))
    attach(policy.model, LoraSpec(**lora), base_of(policy.model, str(directory), None), seed)
    return policy


def disturbed(directory, **lora):
    """An adapter as it is after some training."""
    policy = adapted(directory, **lora)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weights in policy.model.parameters():
            if weights.requires_grad:
                weights += 0.05 * torch.randn(weights.shape, generator=generator)
    return policy


def logprobs(policy, **options):
    return completion_logprobs(policy.model, ROWS, pad_id=policy.pad_id, **options).logprobs


def trained(policy):
    return {name: weights for name, weights in policy.model.named_parameters() if weights.requires_grad}


@pytest.mark.parametrize("family", ["qwen2", "llama", "olmo2"])
def test_it_starts_as_no_change_and_is_all_that_is_trained(organism_dirs, family):
    policy = adapted(organism_dirs[family], r=4)
    assert torch.equal(logprobs(policy), logprobs(load(str(organism_dirs[family]))))
    assert len(adapters(policy.model)) == 3 * 7  # layers; four products of attention and three of the gate
    assert all(".lora_A." in name or ".lora_B." in name for name in trained(policy))
    sizes = {name: tuple(weights.shape) for name, weights in trained(policy).items() if ".0.self_attn.q_proj" in name}
    assert set(sizes.values()) == {(4, 96), (96, 4)}


def test_what_it_computes_is_the_formula(organism_dir):
    policy = disturbed(organism_dir, r=4, lora_alpha=6, target_modules=["v_proj"])
    layer = adapters(policy.model)[1]
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    plain = load(str(organism_dir)).model.get_submodule("model.layers.1.self_attn.v_proj")
    values = torch.randn(5, 96, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(layer(values), plain(values) + values @ down.T @ up.T * 6 / 4)


def test_draws_are_keyed_by_the_seed_alone(organism_dir):
    torch.manual_seed(11)
    one = trained(adapted(organism_dir, seed=5))
    after = torch.rand(1)
    torch.manual_seed(11)
    assert torch.equal(torch.rand(1), after)  # nobody else's draws were used up
    again, other = trained(adapted(organism_dir, seed=5)), trained(adapted(organism_dir, seed=6))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one if "lora_A" in name)


def test_switched_off_it_is_the_base_and_then_it_is_back(organism_dir):
    policy, base = disturbed(organism_dir), logprobs(load(str(organism_dir)))
    before, names = logprobs(policy), set(trained(policy))
    with torch.no_grad(), switched_off(policy.model):
        assert torch.equal(logprobs(policy), base)
    assert torch.equal(logprobs(policy), before)
    assert not torch.equal(before, base)
    assert set(trained(policy)) == names


def test_a_checkpoint_is_the_adapter_and_opens_as_a_model(organism_dir, tmp_path):
    policy = disturbed(organism_dir)
    save(policy, tmp_path)
    told = json.loads((tmp_path / "adapter_config.json").read_text())
    assert told["base_model_name_or_path"] == str(organism_dir.resolve())
    assert not list(tmp_path.glob("model*.safetensors"))
    opened = load(str(tmp_path))
    assert not adapters(opened.model)
    torch.testing.assert_close(logprobs(opened), logprobs(policy), atol=2e-5, rtol=0)
    assert load_tokenizer(str(tmp_path)).tokenizer("1 + 1")["input_ids"] == policy.tokenizer("1 + 1")["input_ids"]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT reads the old name
def test_peft_opens_a_checkpoint_too(organism_dir, tmp_path):
    from peft import AutoPeftModelForCausalLM

    policy = disturbed(organism_dir)
    save(policy, tmp_path)
    theirs = AutoPeftModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(theirs(input_ids=ids).logits, policy.model(input_ids=ids).logits, atol=1e-6, rtol=0)


def test_restored_it_is_the_same_to_the_bit_and_written_again_to_the_byte(organism_dir, tmp_path):
    save(disturbed(organism_dir), tmp_path / "one")
    policy = adapted(organism_dir, seed=9)
    restore_adapter(policy.model, tmp_path / "one")
    save(policy, tmp_path / "two")
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_its_digest_names_the_base_too(organism_dirs, tmp_path):
    save(disturbed(organism_dirs["qwen2"]), tmp_path)
    before = model_digest(str(tmp_path))
    told = json.loads((tmp_path / "adapter_config.json").read_text())
    other = {**told, "base_model_name_or_path": str(organism_dirs["llama"])}
    (tmp_path / "adapter_config.json").write_text(json.dumps(other))
    assert model_digest(str(tmp_path)) != before


def test_frozen_products_in_half_are_the_bits_of_autocast(organism_dir):
    whole, halved = disturbed(organism_dir), disturbed(organism_dir)
    halve_frozen(halved.model)
    kinds = {type(m): m.weight.dtype for m in halved.model.modules() if isinstance(m, nn.Linear | nn.Embedding)}
    assert kinds[nn.Embedding] == torch.float32
    assert {m.base_layer.weight.dtype for m in adapters(halved.model)} == {torch.bfloat16}
    results = []
    for policy in (whole, halved):
        with torch.autocast("cpu", torch.bfloat16):
            values = logprobs(policy)
        values.sum().backward()
        results.append((values, [weights.grad for weights in trained(policy).values()]))
    assert torch.equal(results[0][0], results[1][0])
    assert all(torch.equal(a, b) for a, b in zip(results[0][1], results[1][1], strict=True))


def test_fused_decoding_leaves_it_alone(organism_dir):
    assert fusible(load(str(organism_dir)).model)
    assert not fusible(disturbed(organism_dir).model)


@pytest.mark.parametrize("targets", [["q_prox"], ["embed_tokens"], ["lm_head"]])
def test_modules_that_cannot_be_adapted_are_refused(organism_dir, targets):
    with pytest.raises(SpecError, match=r"policy\.lora\.target_modules: "):
        adapted(organism_dir, target_modules=targets)


def test_a_broken_adapter_is_named(organism_dir, tmp_path):
    save(disturbed(organism_dir), tmp_path)
    weights = tmp_path / "adapter_model.safetensors"
    tensors = load_file(weights)
    save_file({f"{name}x": value for name, value in tensors.items()}, weights)
    with pytest.raises(StoreError, match="another model"):
        restore_adapter(adapted(organism_dir).model, tmp_path)
    weights.write_bytes(b"nothing")
    with pytest.raises(StoreError, match=r"adapter_model\.safetensors: the adapter is unreadable"):
        restore_adapter(adapted(organism_dir).model, tmp_path)
    with pytest.raises(CheckpointError, match="the adapter cannot be loaded"):
        load(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"adapter_config\.json: does not say which model"):
        load(str(tmp_path))


def test_a_base_that_is_gone_is_named(organism_dir, tmp_path):
    save(disturbed(organism_dir), tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(path.read_text().replace(str(organism_dir.resolve()), str(tmp_path / "gone")))
    with pytest.raises(CheckpointError, match=r"the model that this adapter belongs to: .*gone: no such"):
        load(str(tmp_path))
