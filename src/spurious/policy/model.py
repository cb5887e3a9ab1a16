"""A policy: weights and tokenizer of any Hugging Face causal language model, loaded, saved and spoken to.

Only safetensors are read and no code that comes with a checkpoint is run, so a model directory is data.
"""

import copy
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from spurious.errors import CheckpointError, InputError
from spurious.policy.lora import adapters, merged, save_adapter
from spurious.store.adapter import adapter_base

Dtype = Literal["float32", "bfloat16"]
_DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json", "spiece.model")


@dataclass(frozen=True)
class Policy:
    """A causal language model and its tokenizer on one device, in eval mode (no dropout)."""

    model: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    source: str
    """The directory or hub id it was loaded from."""

    @property
    def pad_id(self) -> int:
        """An id to fill unused positions with; masked wherever it stands, so any valid id serves."""
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None else 0

    @property
    def positions(self) -> int | None:
        """Tokens that the model can hold, prompt and completion together; null where its configuration does not say."""
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return None if limit is None else int(limit)

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Every id that ends a completion: those of the generation configuration and the tokenizer's, sorted."""
        configured = self.model.generation_config.eos_token_id
        ids = configured if isinstance(configured, list) else [configured]
        return tuple(sorted({int(i) for i in [*ids, self.tokenizer.eos_token_id] if i is not None}))


def load(
    source: str,
    *,
    revision: str | None = None,
    dtype: str = "float32",
    device: str | None = None,
) -> Policy:
    """Load a causal language model and its tokenizer from a directory or a hub id.

    A directory that holds an adapter alone gives the model it belongs to, with the adapter added to its weights.

    Args:
        source: A directory in Hugging Face format, or a hub id such as `Qwen/Qwen2.5-Math-1.5B`.
        revision: A commit, tag or branch of the hub.
        dtype: `float32` or `bfloat16`.
        device: A torch device; null takes CUDA where there is one.

    Raises:
        CheckpointError: The directory is missing or incomplete, a weights file is broken or pickled, the model needs
            code of its own, or is not a causal language model. The message names the path and the file.
    """
    if dtype not in _DTYPES:
        raise CheckpointError(f"dtype {dtype!r}: one of {', '.join(_DTYPES)}")
    if base := adapter_base(source):
        try:
            below = load(base.model, revision=base.revision, dtype=dtype, device=device)
        except CheckpointError as error:
            raise CheckpointError(f"{source}: the model that this adapter belongs to: {error}") from error
        return replace(below, model=merged(below.model, Path(source)), source=source)
    if Path(source).is_dir():
        _check_files(Path(source))
    elif source.startswith((".", "/", "~")) or source.count("/") > 1 or Path(source).exists():
        raise CheckpointError(f"{source}: no such model directory")
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    shared = {"revision": revision, "trust_remote_code": False}
    tokenizer = _or_checkpoint_error(source, "tokenizer", lambda: AutoTokenizer.from_pretrained(source, **shared))
    model, report = _or_checkpoint_error(
        source,
        "model",
        lambda: AutoModelForCausalLM.from_pretrained(
            source,
            dtype=_DTYPES[dtype],
            use_safetensors=True,
            attn_implementation="sdpa",
            output_loading_info=True,
            **shared,
        ),
    )
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(
            f"{source}: the weights lack {len(missing)} parameters of {type(model).__name__}, first {missing[0]}"
        )
    model = model.to(target).eval()
    _check_causal(source, model)
    _make_savable(source, model)
    return Policy(model, tokenizer, target, _DTYPES[dtype], source)


def load_tokenizer(source: str, *, revision: str | None = None) -> Policy:
    """A policy without weights: enough to put problems into words and ids.

    Raises:
        CheckpointError: there is no tokenizer.
    """
    tokenizer = _or_checkpoint_error(
        source,
        "tokenizer",
        lambda: AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False),
    )
    return Policy(None, tokenizer, torch.device("cpu"), torch.float32, source)


def save(policy: Policy, directory: str | Path) -> None:
    """Write the policy in Hugging Face format (safetensors, configuration, tokenizer) into a directory.

    Of a model with an adapter, the adapter alone.
    """
    if adapters(policy.model):
        save_adapter(policy.model, Path(directory))
    else:
        with _progress_only_on_a_terminal():
            policy.model.save_pretrained(directory)
    policy.tokenizer.save_pretrained(directory)


def frozen_copy(policy: Policy) -> Policy:
    """The same policy with its own weights, which take no gradient: the reference of a divergence."""
    return replace(policy, model=copy.deepcopy(policy.model).requires_grad_(False).eval())


def encode(policy: Policy, text: str) -> tuple[int, ...]:
    """Token ids of untrusted text: nothing is added, and special tokens spelled out in it stay ordinary text."""
    return _ids(policy.tokenizer, text, split=True)


def prompt_ids(policy: Policy, text: str, question: str) -> tuple[int, ...]:
    """Token ids of a rendered prompt: the template's special tokens are parsed, those in the question are not.

    The text is tokenized whole, as every server does; only where the question would smuggle in a special token is it
    cut around the question. A beginning-of-sequence token is put in front where the tokenizer does so by
    default and the template has not.

    Raises:
        InputError: The question does not occur in the text (but for spaces around it), or there is not a single token.
    """
    question = question if question in text else question.strip()
    head, _, tail = text.partition(question) if question else (text, "", "")
    if question not in text:
        raise InputError(f"the prompt template changed the question: {question[:80]!r} is not in the rendered text")
    special = {i for i, token in policy.tokenizer.added_tokens_decoder.items() if token.special}
    ids = _ids(policy.tokenizer, text, split=False)
    outside = _fixed_ids(policy.tokenizer, head), _fixed_ids(policy.tokenizer, tail)
    if sum(i in special for i in ids) != sum(i in special for part in outside for i in part):
        ids = outside[0] + encode(policy, question) + outside[1]
    bos = policy.tokenizer.bos_token_id
    if bos is not None and ids[:1] != (bos,) and policy.tokenizer("")["input_ids"][:1] == [bos]:
        ids = (bos, *ids)
    if not ids:
        raise InputError("the prompt is empty: a model needs at least one token to continue from")
    return ids


def chat_renderer(policy: Policy) -> Callable[[Sequence[Mapping[str, str]]], str] | None:
    """The tokenizer's chat template as a function from messages to text that opens the answer; null without one."""
    if policy.tokenizer.chat_template is None:
        return None

    def render(messages: Sequence[Mapping[str, str]]) -> str:
        return str(policy.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))

    return render


def decode(policy: Policy, ids: Sequence[int]) -> str:
    """Text of token ids. Special tokens a model wrote stay visible: what was sampled never vanishes silently."""
    return str(policy.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


@lru_cache(maxsize=64)
def _fixed_ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    """Ids of what a template puts around every question."""
    return _ids(tokenizer, text, split=False)


def _ids(tokenizer: Any, text: str, *, split: bool) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False, split_special_tokens=split)["input_ids"])


def _check_files(directory: Path) -> None:
    """Refuse a directory that cannot be a complete safetensors checkpoint, naming the file at fault."""
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{directory / 'config.json'}: {error}") from error
    architecture = config.get("model_type", "") if isinstance(config, Mapping) else config
    if not isinstance(architecture, str) or not re.fullmatch(r"[\w.-]*", architecture):
        raise CheckpointError(f"{directory / 'config.json'}: {str(architecture)[:80]!r} is no model_type")
    if not any((directory / name).is_file() for name in _TOKENIZER_FILES):
        raise CheckpointError(f"{directory}: no tokenizer (none of {', '.join(_TOKENIZER_FILES)})")
    weights = sorted(directory.glob("*.safetensors"))
    if not weights:
        pickled = sorted(path.name for kind in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in directory.glob(kind))
        hint = f"; {pickled[0]} is pickled, which can run code: convert it to safetensors" if pickled else ""
        raise CheckpointError(f"{directory}: no *.safetensors weights{hint}")
    for path in weights:
        try:
            with safe_open(path, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: broken safetensors: {error}") from error


def _or_checkpoint_error(source: str, what: str, build: Callable[[], Any]) -> Any:
    """Run a transformers loader; what it raises for a bad checkpoint becomes one message that names the source."""
    try:
        with _progress_only_on_a_terminal():
            return build()
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        if "trust_remote_code" in str(error):
            raise CheckpointError(f"{source}: {what} needs code of its own (auto_map); none is run") from error
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise CheckpointError(f"{source}: {what} cannot be loaded: {first}") from error


@torch.no_grad()
def _check_causal(source: str, model: Any) -> None:
    """Refuse a model whose first prediction depends on the tokens after it, or whose predictions are not finite.

    A causal model's predictions are the same, but for rounding where experts are given other tokens beside the first
    one. An untrained BERT's may differ by as little as 6e-4.
    """
    first, other = (
        model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits[0, 0].float()
        for ids in ([1] * 8, list(range(1, 9)))
    )
    if not torch.isfinite(first).all():
        raise CheckpointError(f"{source}: the model's logits are not finite")
    rounding = max(1e-4, 2 * torch.finfo(model.dtype).eps)
    if (first - other).abs().max() > rounding * first.abs().max():
        raise CheckpointError(f"{source}: {type(model).__name__} is not a causal language model: it sees the future")


def _make_savable(source: str, model: Any) -> None:
    """Sampling settings beside `do_sample: false` load with a warning and fail to save, hours later: mend it now."""
    for sampled in (model.generation_config.do_sample, True):
        model.generation_config.do_sample = sampled
        try:
            model.generation_config.validate(strict=True)
        except ValueError as error:
            problem = str(error)
        else:
            return
    raise CheckpointError(f"{source}: generation_config.json: {problem}")


@contextmanager
def _progress_only_on_a_terminal() -> Iterator[None]:
    """Keep transformers' progress bars out of logs and pipes."""
    if sys.stderr.isatty() or not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
