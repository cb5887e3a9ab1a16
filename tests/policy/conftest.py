"""Checkpoints of tiny random models, and the policies loaded from them."""

from pathlib import Path

import pytest
from tiny_models import FAMILIES, tiny_model, tiny_tokenizer

from spurious.policy import model as policies
from spurious.policy.model import Policy


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One saved checkpoint directory a family."""
    root = tmp_path_factory.mktemp("checkpoints")
    tokenizer = tiny_tokenizer()
    for family in FAMILIES:
        tiny_model(family, len(tokenizer)).save_pretrained(root / family)
        tokenizer.save_pretrained(root / family)
    return {family: root / family for family in FAMILIES}


@pytest.fixture(scope="session", params=list(FAMILIES))
def policy(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> Policy:
    """A loaded policy of each family; tests leave its weights alone."""
    return policies.load(str(checkpoints[request.param]), device="cpu")


@pytest.fixture(scope="session")
def qwen(checkpoints: dict[str, Path]) -> Policy:
    """One family, where the property does not depend on it."""
    return policies.load(str(checkpoints["qwen2"]), device="cpu")
