"""A sampler with a known habit in place of a model, so that a probe's numbers are known beforehand."""

from collections.abc import Callable

import pytest

from spurious.policy import Policy, load, prepare_process
from spurious.types import Completion, Group, Prompt


@pytest.fixture(scope="session")
def organism(organism_dir) -> Policy:
    """An untrained organism: a real model that knows nothing."""
    prepare_process()
    return load(str(organism_dir))


@pytest.fixture
def habit(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Prompt], str]], list[Prompt]]:
    """`habit(write)` lets `write(prompt)` answer in the model's place; returns the list of all prompts it was asked."""

    def install(write: Callable[[Prompt], str]) -> list[Prompt]:
        asked: list[Prompt] = []

        def sample(self, prompts, n, sampling, scope, *, confidence=False, on_group=None):
            self.check(prompts, sampling)
            groups = []
            for i, prompt in enumerate(prompts):
                asked.append(prompt)
                group = Group(prompt, tuple(Completion(write(prompt), (1, 2, 3), (), "eos") for _ in range(n)))
                groups.append(group)
                if on_group:
                    on_group(i, group)
            return groups

        monkeypatch.setattr("spurious.policy.sampler.TorchSampler.sample", sample)
        return asked

    return install
