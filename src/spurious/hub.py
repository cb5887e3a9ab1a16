"""A run's final weights and their card as a model repository of the Hugging Face hub, or as the folder of one."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spurious.errors import ServerError, SpecError, StoreError
from spurious.store.files import replacing

CARD = "README.md"
"""What the hub shows as the model's card."""

_TO_GO_ON = frozenset({"optimizer.safetensors", "state.json", "digests.json"})
"""Files of a checkpoint that only the run itself has a use for."""


def repository(name: str) -> str:
    """A repository's name, `USER/NAME`, checked.

    Raises:
        SpecError: the hub would not take it.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise SpecError(f"--to: {error}") from error
    if "/" not in name:
        raise SpecError(f"--to {name}: write USER/NAME, so that it is plain whose repository it is")
    return name


def model_files(checkpoint: Path) -> list[Path]:
    """What others need of a checkpoint: weights, configuration and tokenizer."""
    return sorted(path for path in checkpoint.iterdir() if path.is_file() and path.name not in _TO_GO_ON)


def write(checkpoint: Path, card: str, out: Path) -> list[Path]:
    """Write what `push` would upload into a new folder and return the files.

    Raises:
        StoreError: there is something already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{out}: is there already; choose a new folder")
    with replacing(out.resolve()) as temporary:
        temporary.mkdir()
        for path in model_files(checkpoint):
            shutil.copyfile(path, temporary / path.name)
        (temporary / CARD).write_text(card, encoding="utf-8")
    return sorted(out.iterdir())


def push(checkpoint: Path, card: str, name: str, *, private: bool, message: str) -> str:
    """Upload to a repository, made where it is missing, in one commit; files of other names in it stay.

    Args:
        checkpoint: a directory of `checkpoints/`.
        card: the text of its README.md.
        name: `USER/NAME`.
        private: whether a repository that is made now is private; one that is there stays as it is.
        message: of the commit.

    Returns:
        The address of the commit.

    Raises:
        SpecError: the hub refuses the request: no token, no right, no such user.
        ServerError: the hub cannot be reached or fails.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HTTPError,  # of whichever client the hub's library talks through
        LocalTokenNotFoundError,
    )

    files: Iterable[tuple[str, Any]] = [(path.name, path) for path in model_files(checkpoint)]
    operations = [CommitOperationAdd(path, content) for path, content in [*files, (CARD, card.encode())]]
    api = HfApi(library_name="spurious")
    try:
        api.create_repo(name, private=private, exist_ok=True)
        return str(api.create_commit(name, operations, commit_message=message).commit_url)
    except LocalTokenNotFoundError as error:
        raise SpecError(f"--to {name}: no token; `hf auth login` keeps one, and HF_TOKEN names one") from error
    except HfHubHTTPError as error:
        refused = 400 <= error.response.status_code < 500 and error.response.status_code not in (408, 429)
        raise (SpecError if refused else ServerError)(f"--to {name}: {error}") from error
    except (HTTPError, OSError) as error:
        raise ServerError(f"--to {name}: the hub cannot be reached: {error}") from error
