"""Checkpoints of tiny random models, the policies loaded from them, torch's threads, and a server."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fake_server import Fake
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


def threads_of_torch(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def one_thread() -> Iterator[None]:
    yield from threads_of_torch(1)


@pytest.fixture
def two_threads() -> Iterator[None]:
    yield from threads_of_torch(2)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """A running server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    running = Fake()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()
