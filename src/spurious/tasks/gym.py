"""Problems of reasoning-gym, most of them no mathematics, with its own scorers as graders (extra `gym`)."""

import io
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from typing import Annotated, Any, Literal

from pydantic import Field

from spurious.errors import DataError, SpecError
from spurious.keys import key, uniforms
from spurious.tasks import gymscore
from spurious.tasks.base import Task, make_problem
from spurious.types import Extraction, Grade, Problem
from spurious.verify import extract

_EVALUATES = "its scorer runs the model's text as Python"
_IRREPRODUCIBLE = "its problems differ from process to process for one seed"

REFUSED: dict[str, str] = {
    "binary_matrix": _EVALUATES,
    "countdown": _EVALUATES,
    "intermediate_integration": _EVALUATES,
    "n_queens": _EVALUATES,
    "polynomial_multiplication": _EVALUATES,
    "puzzle24": _EVALUATES,
    "simple_integration": _EVALUATES,
    "spiral_matrix": _EVALUATES,
    "string_insertion": _EVALUATES,
    "isomorphic_strings": _IRREPRODUCIBLE,
    "knight_swap": _IRREPRODUCIBLE,
    "list_functions": _IRREPRODUCIBLE,
    "ransom_note": _IRREPRODUCIBLE,
    "word_ladder": _IRREPRODUCIBLE,
}
"""Data sets of reasoning-gym 0.1.25 that are not offered, and why."""

_TEST_SHARE = 0.3


def build(
    dataset: str,
    *,
    size: Annotated[int, Field(ge=1)] = 500,
    seed: Annotated[int, Field(ge=0)] = 0,
    split: Literal["train", "test"] = "train",
    config: dict[str, Any] | None = None,
) -> Task:
    """`size` distinct problems of one split; `config` is handed to the data set (its difficulty settings).

    A problem belongs to `train` or `test` by a hash of its question, whatever the seed. Raises SpecError for a data set
    that is unknown or refused, a bad `config`, and where there are not `size` such problems; DataError where the data
    set gives no answer that its own scorer accepts.
    """
    if dataset in REFUSED:
        raise SpecError(f"task gym:{dataset} is not offered: {REFUSED[dataset]}")
    config = config or {}
    found: dict[str, Problem] = {}
    with redirect_stdout(io.StringIO()):  # some data sets print while they load, and ours is for results
        for entry in _entries(dataset, size, seed, config):
            if _split(entry["question"]) == split:
                found.setdefault(entry["question"], _problem(dataset, config, entry))
            if len(found) == size:
                break
    if len(found) < size:
        raise SpecError(f"task gym:{dataset}: size is {size}, but only {len(found)} {split} problems were found")
    source = {"generator": f"gym:{dataset}", "size": size, "seed": seed, "split": split, "config": config}
    return Task(f"gym:{dataset}", tuple(found.values()), "auto", source, grade)


def _entries(dataset: str, size: int, seed: int, config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The data set's entries; those its own scorer does not give full marks to are an error."""
    try:
        import reasoning_gym
    except ImportError as error:
        raise SpecError(f"task gym:{dataset} needs reasoning-gym: pip install 'spurious[gym]'") from error
    if dataset not in reasoning_gym.factory.DATASETS:
        known = ", ".join(sorted(set(reasoning_gym.factory.DATASETS) - set(REFUSED)))
        raise SpecError(f"task gym:{dataset}: reasoning-gym has no such data set; there are {known}")
    # Item i of seed s is item i - 1 of seed s + 1 there: neighboring seeds would be all but the same problems.
    spread = key("gym", dataset, seed) % 2**31
    try:
        made = reasoning_gym.create_dataset(dataset, size=6 * size + 64, seed=spread, **config)
    except (TypeError, ValueError, AssertionError) as error:
        raise SpecError(f"task gym:{dataset}, args.config: {error}") from error
    for index in range(len(made)):
        entry = made[index]
        if not isinstance(entry["answer"], str) or made.score_answer(entry["answer"], entry) != 1.0:
            raise DataError(f"gym:{dataset}, entry {index}: its scorer does not accept its answer {entry['answer']!r}")
        yield entry


def _split(question: str) -> str:
    return "test" if uniforms(key("gym", "split", question), 1)[0] < _TEST_SHARE else "train"


def _problem(dataset: str, config: dict[str, Any], entry: dict[str, Any]) -> Problem:
    scored = {"dataset": dataset, "config": config, "entry": entry}
    return make_problem(entry["question"], entry["answer"], f"gym:{dataset}", dataset, **scored)


def grade(pairs: Sequence[tuple[str, Problem]], extraction: Extraction) -> list[Grade]:
    """Grade with reasoning-gym's scorers: full marks are `correct`, anything less is `wrong`.

    The answer is the last box or what stands in `<answer>` tags; `lenient` falls back on the last line.
    """
    answers = [answer_of(text, extraction) for text, _ in pairs]
    asked = [(problem, answer) for (_, problem), answer in zip(pairs, answers, strict=True) if answer is not None]
    statuses = iter(gymscore.statuses([(problem.metadata, answer) for problem, answer in asked]))
    return [Grade("absent" if answer is None else next(statuses), answer) for answer in answers]


def answer_of(text: str, extraction: Extraction) -> str | None:
    """What a completion answers to a problem that is no mathematics; None where there is no answer."""
    boxed = extract(text, "strict")
    if boxed is not None:
        return boxed
    _, closing, final = text.rpartition("</think>")
    if not closing and "<think>" in text:
        return None
    _, opening, tagged = final.rpartition("<answer>")
    if opening and (answer := tagged.partition("</answer>")[0].strip()):
        return answer
    lines = final.strip().splitlines()
    return lines[-1].strip() if lines and extraction == "lenient" else None
