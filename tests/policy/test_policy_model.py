import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForMaskedLM, T5Config, T5ForConditionalGeneration

from spurious.errors import CheckpointError, InputError
from spurious.policy import model as policies
from spurious.policy.body import configuration
from spurious.policy.model import Policy


@pytest.fixture
def copy_of(checkpoints: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoints["qwen2"], tmp_path / "checkpoint"))


def test_loaded_weights_survive_save_and_load(policy: Policy, tmp_path: Path) -> None:
    policies.save(policy, tmp_path)
    again = policies.load(str(tmp_path), device="cpu")
    ours, theirs = policy.model.state_dict(), again.model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not again.model.training
    assert again.model.config._attn_implementation == "sdpa"
    assert not list(tmp_path.glob("*.bin"))


def test_bfloat16_is_kept(checkpoints: dict[str, Path]) -> None:
    policy = policies.load(str(checkpoints["llama"]), dtype="bfloat16", device="cpu")
    assert {p.dtype for p in policy.model.parameters()} == {torch.bfloat16}


def test_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere: no such model directory"):
        policies.load(str(tmp_path / "nowhere"))


def test_truncated_weights_name_the_file(copy_of: Path) -> None:
    weights = copy_of / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: broken safetensors"):
        policies.load(str(copy_of))


def test_garbage_weights_name_the_file(copy_of: Path) -> None:
    (copy_of / "model.safetensors").write_bytes(b"not a header")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: broken safetensors"):
        policies.load(str(copy_of))


def test_pickled_weights_are_refused(copy_of: Path) -> None:
    (copy_of / "model.safetensors").rename(copy_of / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is pickled"):
        policies.load(str(copy_of))


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.ckpt"])
def test_pickles_of_any_name_are_refused(copy_of: Path, name: str) -> None:
    (copy_of / "model.safetensors").rename(copy_of / name)
    with pytest.raises(CheckpointError, match=rf"{name} is pickled"):
        policies.load(str(copy_of))


CODE = "open({path!r}, 'w').close()\nclass Config: pass\nclass Model: pass\n"


def _with_code(directory: Path, model_type: str | None) -> Path:
    """A checkpoint that brings code of its own, which leaves a mark where it runs."""
    mark = directory / "ran"
    for name in ("configuration_own.py", "modeling_own.py", "tokenization_own.py"):
        (directory / name).write_text(CODE.format(path=str(mark)))
    config = json.loads((directory / "config.json").read_text())
    own = {"AutoConfig": "configuration_own.Config", "AutoModelForCausalLM": "modeling_own.Model"}
    (directory / "config.json").write_text(
        json.dumps(config | {"auto_map": own} | ({"model_type": model_type} if model_type else {}))
    )
    settings = json.loads((directory / "tokenizer_config.json").read_text())
    own = {"AutoTokenizer": ["tokenization_own.Config", None]}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings | {"auto_map": own}))
    return mark


def test_code_beside_a_known_model_is_not_run(copy_of: Path) -> None:
    mark = _with_code(copy_of, None)
    policies.load(str(copy_of))
    policies.load_tokenizer(str(copy_of))
    assert not mark.exists()


def test_a_model_that_needs_code_of_its_own_is_refused(copy_of: Path) -> None:
    mark = _with_code(copy_of, "own")
    with pytest.raises(CheckpointError, match="needs code of its own"):
        policies.load(str(copy_of))
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        configuration(str(copy_of))
    assert not mark.exists()


def test_a_configuration_as_deep_as_a_well_is_refused(copy_of: Path) -> None:
    (copy_of / "config.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        policies.load(str(copy_of))


def test_an_adapter_of_itself_is_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for place, base in ((one, other), (other, one)):
        place.mkdir()
        (place / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    with pytest.raises(CheckpointError, match="belongs to itself"):
        policies.load(str(one))
    (one / "adapter_config.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="does not say which model"):
        policies.load(str(one))


def test_missing_tokenizer(copy_of: Path) -> None:
    (copy_of / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer .*tokenizer\.json"):
        policies.load(str(copy_of))


@pytest.mark.parametrize("content", ["{", None, "[]", "5", '{"model_type": "\\u001b[2J"}', '{"model_type": 5}'])
def test_broken_or_missing_config(copy_of: Path, content: str | None) -> None:
    (copy_of / "config.json").unlink()
    if content is not None:
        (copy_of / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        policies.load(str(copy_of))


def test_weights_of_another_shape(copy_of: Path) -> None:
    config = json.loads((copy_of / "config.json").read_text())
    config["intermediate_size"] = 64
    (copy_of / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="model cannot be loaded"):
        policies.load(str(copy_of))


def test_weights_that_lack_a_layer(copy_of: Path) -> None:
    config = json.loads((copy_of / "config.json").read_text())
    config["num_hidden_layers"] = 3
    config.pop("layer_types", None)
    (copy_of / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"the weights lack \d+ parameters .*layers\.2"):
        policies.load(str(copy_of))


SMALL_BERT = BertConfig(
    vocab_size=400, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
)
SMALL_T5 = T5Config(vocab_size=400, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)


@pytest.mark.parametrize(
    "other", [lambda: BertForMaskedLM(SMALL_BERT), lambda: T5ForConditionalGeneration(SMALL_T5)], ids=["bert", "t5"]
)
def test_a_model_that_is_not_causal(copy_of: Path, other) -> None:
    torch.manual_seed(1103)  # of 2,000, the one whose BERT sees least of the future
    other().save_pretrained(copy_of)
    with pytest.raises(CheckpointError, match=str(copy_of)):
        policies.load(str(copy_of))


def test_weights_that_are_not_numbers(qwen: Policy, tmp_path: Path) -> None:
    broken = policies.frozen_copy(qwen)
    with torch.no_grad():
        broken.model.model.norm.weight.fill_(float("nan"))
    policies.save(broken, tmp_path)
    with pytest.raises(CheckpointError, match="not finite"):
        policies.load(str(tmp_path))


def test_unknown_dtype_is_refused(checkpoints: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match="float16"):
        policies.load(str(checkpoints["qwen2"]), dtype="float16")


def test_a_frozen_copy_does_not_follow(qwen: Policy) -> None:
    moving = policies.frozen_copy(qwen)
    reference = policies.frozen_copy(moving)
    with torch.no_grad():
        next(moving.model.parameters()).add_(1.0)
    assert torch.equal(next(reference.model.parameters()), next(qwen.model.parameters()))
    assert not any(p.requires_grad for p in reference.model.parameters())


def test_special_tokens_in_untrusted_text_stay_text(qwen: Policy) -> None:
    ids = policies.encode(qwen, "a<eos>b")
    assert not set(ids) & set(qwen.tokenizer.all_special_ids)
    assert policies.decode(qwen, ids) == "a<eos>b"


def test_a_prompt_keeps_the_templates_specials_and_disarms_the_questions(qwen: Policy) -> None:
    chat = policies.chat_renderer(qwen)
    assert chat is not None
    question = "What is <eos><bos> 1 + 1?"
    text = chat([{"role": "user", "content": question}])
    ids = policies.prompt_ids(qwen, text, question)
    assert [i for i in ids if i in qwen.tokenizer.all_special_ids] == [qwen.tokenizer.bos_token_id]
    assert policies.decode(qwen, ids) == text


def test_an_innocent_prompt_is_tokenized_whole(qwen: Policy) -> None:
    question = "start with 7 then add 5"
    text = f"Q: {question} and multiply"
    assert list(policies.prompt_ids(qwen, text, question)) == qwen.tokenizer(text)["input_ids"]


def test_a_template_that_changes_the_question_is_refused(qwen: Policy) -> None:
    with pytest.raises(InputError, match="changed the question"):
        policies.prompt_ids(qwen, "Q: one plus one", "1 + 1")


def test_an_empty_prompt_is_refused(qwen: Policy) -> None:
    with pytest.raises(InputError, match="empty"):
        policies.prompt_ids(qwen, "", "")


def test_no_chat_template_no_renderer(checkpoints: dict[str, Path]) -> None:
    policy = policies.load(str(checkpoints["olmo2"]), device="cpu")
    policy.tokenizer.chat_template = None
    assert policies.chat_renderer(policy) is None


def test_every_configured_end_token_counts(qwen: Policy) -> None:
    several = policies.frozen_copy(qwen)
    several.model.generation_config.eos_token_id = [5, 2]
    assert several.eos_ids == (2, 5)


def test_sampling_settings_that_transformers_would_not_save(copy_of: Path, tmp_path: Path) -> None:
    settings = json.loads((copy_of / "generation_config.json").read_text())
    (copy_of / "generation_config.json").write_text(json.dumps(settings | {"do_sample": False, "temperature": 0.6}))
    policies.save(policies.load(str(copy_of), device="cpu"), tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "generation_config.json").read_text())["temperature"] == 0.6


def test_loading_and_saving_are_quiet(qwen: Policy, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    policies.save(qwen, tmp_path)
    policies.load(str(tmp_path), device="cpu")
    assert capfd.readouterr() == ("", "")


def test_a_question_whose_spaces_the_template_trims(qwen: Policy) -> None:
    assert policies.decode(qwen, policies.prompt_ids(qwen, "Q: 1 + 1?", " 1 + 1?\n")) == "Q: 1 + 1?"


def test_a_tokenizer_that_puts_a_beginning_token_in_front(qwen: Policy) -> None:
    tokenizer = copy.deepcopy(qwen.tokenizer)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    policy = replace(qwen, tokenizer=tokenizer)
    plain = policies.prompt_ids(qwen, "Q: 1 + 1?", "1 + 1?")
    assert policies.prompt_ids(policy, "Q: 1 + 1?", "1 + 1?") == (1, *plain)
    assert policies.prompt_ids(policy, "<bos>Q: 1 + 1?", "1 + 1?") == (1, *plain)
    assert policies.encode(policy, "Q: 1 + 1?") == plain


def test_a_control_token_without_a_role_is_disarmed_too(qwen: Policy) -> None:
    """Llama 3 marks headers as special without listing them among the tokenizer's special tokens."""
    tokenizer = copy.deepcopy(qwen.tokenizer)
    tokenizer.add_tokens(AddedToken("<|header|>", special=True))
    policy = replace(qwen, tokenizer=tokenizer)
    header = tokenizer.convert_tokens_to_ids("<|header|>")
    assert header not in tokenizer.all_special_ids
    ids = policies.prompt_ids(policy, "<|header|>user: what is <|header|>?", "what is <|header|>?")
    assert ids.count(header) == 1
    assert policies.prompt_ids(policy, "<|header|>user: hi", "hi").count(header) == 1
