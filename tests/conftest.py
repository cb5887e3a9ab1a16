"""Fixtures shared by every room's tests."""

import os
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("MKL_CBWR", "AVX2")

# A busy machine is no reason for a law to fail.
hypothesis.settings.register_profile("no-deadline", deadline=None)
hypothesis.settings.load_profile("no-deadline")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real problems and labeled cases beside the checkout; a test that needs it skips without it."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip("the folder of real problems and labeled cases (../shared) is not beside this checkout")
    return path


@pytest.fixture(scope="session")
def organism_dirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model directories by family (qwen2, llama, olmo2): the organisms' bodies and tokenizer with random weights."""
    from spurious.organisms import untrained

    root = tmp_path_factory.mktemp("organisms")
    return {family: untrained(root / family, family) for family in ("qwen2", "llama", "olmo2")}


@pytest.fixture(scope="session")
def organism_dir(organism_dirs: dict[str, Path]) -> Path:
    """The directory of an untrained Qwen2 organism: a real model, tokenizer and all, that loads at once."""
    return organism_dirs["qwen2"]
