"""What a run is: a hash of everything that changes its results, and of nothing else."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spurious.errors import CheckpointError
from spurious.specs import RunSpec
from spurious.store.adapter import adapter_base
from spurious.store.digests import NAME
from spurious.store.files import file_digest
from spurious.store.written import written_down

FINGERPRINT_VERSION = 2
"""Raised when a change of the code, or of a field's default, changes the results of an unchanged spec."""

_NOT_RESULTS = {"model", "revision", "reward", "label", "save_every"}
"""Where a model or a reward's file lies and how a reward is spelled is not what it is: digests of model, reward and
labels are in the inputs. When checkpoints are kept changes nothing."""

_MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
_NOT_THE_MODEL = {"organism.json", "state.json", "optimizer.safetensors", NAME}


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; raises TypeError on anything JSON cannot say, ValueError on NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Hex sha256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def fingerprint(spec: RunSpec, inputs: Mapping[str, str]) -> str:
    """Eight hex digits that name the run.

    Fields at their defaults are left out, so that a field added later does not rename the runs that never had it.

    Args:
        spec: the resolved specification.
        inputs: digests of what the spec only points to: model, problems, labels, the source of a user's reward.
    """
    said = spec.model_dump(mode="json", exclude_defaults=True)
    fields = {name: value for name, value in said.items() if name not in _NOT_RESULTS}
    return digest({"version": FINGERPRINT_VERSION, "spec": fields, "inputs": dict(inputs)})[:8]


def model_digest(source: str, revision: str | None = None) -> str:
    """A digest of a model directory's weights, configuration and tokenizer; a hub id is named by its revision.

    A directory that holds an adapter alone is named by its files and by the model they belong to.

    Raises:
        CheckpointError: the directory holds no model file.
        StoreError: it says what its files were when they were written, and one is not that any more.
    """
    directory = Path(source)
    if not directory.is_dir():
        return digest({"hub": source, "revision": revision or "main"})
    files = sorted(
        {path for pattern in _MODEL_FILES for path in directory.glob(pattern)} - {directory / n for n in _NOT_THE_MODEL}
    )
    if not files:
        raise CheckpointError(f"{directory}: no model here (no .safetensors, no config.json)")
    digests = {path.name: file_digest(path) for path in files}
    known = written_down(directory)
    for name, now in digests.items():
        known.check_digest(name, now)
    base = adapter_base(source)
    below = {"base": model_digest(base.model, base.revision)} if base else {}
    return digest({**digests, **below})
