"""Groups and problems for the tests of rewards and labels."""

from collections.abc import Callable, Sequence

import pytest

from spurious.keys import Draw
from spurious.types import Completion, Group, Problem, Prompt

MakeGroup = Callable[..., Group]


def _problem(problem_id: str = "p1", answer: str = "4", question: str = "What is 2 + 2?") -> Problem:
    return Problem(id=problem_id, question=question, answer=answer, source="test")


def _group(texts: Sequence[str], problem: Problem | None = None, confidences: bool = True) -> Group:
    """A group whose completions carry per-token values of their own: the i-th has entropy i + 0.5, certainty 2i."""

    def completion(i: int, text: str) -> Completion:
        values = {"entropies": (float(i), i + 1.0), "self_certainties": (2.0 * i, 2.0 * i)} if confidences else {}
        return Completion(text=text, token_ids=(1, 2), sampler_logprobs=(-0.5, -1.5), stop="eos", **values)

    prompt = Prompt(problem=problem or _problem(), text="Q", token_ids=(1,))
    return Group(prompt=prompt, completions=tuple(completion(i, text) for i, text in enumerate(texts)))


@pytest.fixture(scope="session")
def problem() -> Callable[..., Problem]:
    return _problem


@pytest.fixture(scope="session")
def group() -> MakeGroup:
    return _group


@pytest.fixture(scope="session")
def draw() -> Draw:
    return Draw(seed=0, step=3, problem_id="p1")
