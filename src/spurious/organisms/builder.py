"""From a recipe to a model directory: corpus, tokenizer, pretraining, and a record of all that is known about it."""

import json
import time
from pathlib import Path
from typing import Any

from spurious.organisms.corpus import copies_read, describe, generate
from spurious.organisms.model import new_model, save
from spurious.organisms.pretrain import Example, encode, pretrain
from spurious.organisms.recipe import Recipe, load_recipe
from spurious.organisms.record import FORMAT, RECORD, holds
from spurious.organisms.tokenizer import train_tokenizer
from spurious.progress import Progress, quiet
from spurious.store.digests import Digests
from spurious.store.environment import environment
from spurious.store.files import replacing
from spurious.store.shared import alone

_LAST_LOSSES = 20


def build(recipe: Recipe | Path | str, out: Path, *, progress: Progress = quiet) -> Path:
    """Build an organism in the directory `out`, or find it there already; returns `out`.

    `recipe` is a recipe, the name of a packaged one, or a YAML file. `out` appears whole or not at all:
    everything up to the last update is in memory, so a build that was killed leaves nothing and simply starts again.
    Beside the Hugging Face files it holds `organism.json`: the recipe, what the corpus really contained, the last loss,
    speed and versions.

    Raises:
        SpecError: the recipe is unknown or wrong; the message names file and field.
        StoreError: `out` holds something else, such as the organism of another recipe.
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    if holds(out, recipe):
        return out
    with alone(out):  # two builders would write into each other's files
        return out if holds(out, recipe) else _build(recipe, out, progress)


def _build(recipe: Recipe, out: Path, progress: Progress) -> Path:
    started = time.perf_counter()
    tokenizer = train_tokenizer(recipe.domain)
    texts = generate(recipe)
    examples = encode(texts, tokenizer)
    model = new_model(recipe.architecture, tokenizer, recipe.seed)
    trained = time.perf_counter()
    losses = pretrain(model, examples, recipe.training, progress)
    seconds = time.perf_counter() - trained
    tokens = sum(len(example.prompt) + len(example.completion) for example in examples)
    record = {
        "format": FORMAT,
        "digest": recipe.digest,
        "recipe": recipe.model_dump(mode="json"),
        "corpus": describe(texts) | _lengths(examples),
        "contaminated": copies_read(recipe, texts),
        "parameters": model.num_parameters(),
        "last_loss": sum(losses[-_LAST_LOSSES:]) / len(losses[-_LAST_LOSSES:]),
        "seconds": round(time.perf_counter() - started, 1),
        "tokens_per_second": round(tokens / seconds),
        "environment": environment(),
    }
    with replacing(out) as directory:
        directory.mkdir()
        save(model, tokenizer, directory)
        (directory / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        Digests(directory).add_files()
    return out


def _lengths(examples: list[Example]) -> dict[str, Any]:
    """Token counts, the end token included: the prompts' and the completions' shortest, mean and longest."""
    prompts = [len(example.prompt) for example in examples]
    completions = [len(example.completion) for example in examples]
    return {
        "prompt_tokens": {"min": min(prompts), "mean": sum(prompts) / len(prompts), "max": max(prompts)},
        "completion_tokens": {
            "min": min(completions),
            "mean": sum(completions) / len(completions),
            "max": max(completions),
        },
    }
