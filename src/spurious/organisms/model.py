"""The organisms' bodies: real Hugging Face architectures, small, with weights fixed by a seed."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from spurious.keys import key
from spurious.organisms.recipe import Architecture, Family
from spurious.organisms.tokenizer import train_tokenizer

FAMILIES: dict[Family, tuple[type[Any], type[Any]]] = {
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "llama": (LlamaConfig, LlamaForCausalLM),
    "olmo2": (Olmo2Config, Olmo2ForCausalLM),
}

POSITIONS = 512
"""Prompt and completion tokens an organism may hold."""


def configuration(architecture: Architecture, tokenizer: PreTrainedTokenizerFast) -> Any:
    """What an organism's model is built from."""
    config_class, _ = FAMILIES[architecture.family]
    return config_class(
        vocab_size=len(tokenizer),
        hidden_size=architecture.width,
        intermediate_size=architecture.mlp,
        num_hidden_layers=architecture.layers,
        num_attention_heads=architecture.heads,
        num_key_value_heads=architecture.kv_heads,
        max_position_embeddings=POSITIONS,
        initializer_range=architecture.width**-0.5,
        tie_word_embeddings=True,
        attention_dropout=0.0,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )


def new_model(architecture: Architecture, tokenizer: PreTrainedTokenizerFast, seed: int) -> PreTrainedModel:
    """A float32 model with random weights that depend on the architecture and the seed alone."""
    _, model_class = FAMILIES[architecture.family]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(seed, "organism", "weights") >> 1)
        model: PreTrainedModel = model_class(configuration(architecture, tokenizer))
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return model


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, path: Path) -> None:
    """Write a Hugging Face directory: configuration, safetensors, tokenizer, generation settings."""
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)


def untrained(path: Path, architecture: Family = "qwen2", seed: int = 0) -> Path:
    """Write an organism that has learned nothing: the usual body and tokenizer, random weights. Returns `path`."""
    tokenizer = train_tokenizer()
    save(new_model(Architecture(family=architecture), tokenizer, seed), tokenizer, path)
    return path
