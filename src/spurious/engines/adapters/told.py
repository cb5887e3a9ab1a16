"""One row of an engine's data set as our problem, and what the reward is told of it.

`spurious export` writes all of `FIELDS`. Of somebody else's data the true answer is enough.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spurious.engines.record import Place, final_answer, text_of
from spurious.errors import DataError
from spurious.tasks.base import content_id
from spurious.types import Problem

FIELDS = ("answer", "label", "question", "problem_id", "kind", "source", "metadata")
"""`answer` is the true one; `label` what the reward is told, the true answer where it is missing; `question` is what is
asked, without a template; `problem_id` is made of question and answer where it is missing; `metadata` is JSON."""


@dataclass(frozen=True, slots=True)
class Told:
    """A problem and the answer that the reward believes."""

    problem: Problem
    label: str

    @property
    def row(self) -> dict[str, str]:
        """The fields, as an engine's data set carries them."""
        problem = self.problem
        return {
            "answer": problem.answer,
            "label": self.label,
            "question": problem.question,
            "problem_id": problem.id,
            "kind": problem.kind,
            "source": problem.source,
            "metadata": json.dumps(dict(problem.metadata), sort_keys=True, default=str),
        }


def told(row: Mapping[str, Any], where: str, question: str = "") -> Told:
    """Read a row.

    Args:
        row: some of `FIELDS`.
        where: the engine, for messages.
        question: what was asked, where the row does not say.

    Raises:
        DataError: there is no answer, or a field is no text.
    """
    given = {name: row[name] for name in FIELDS if row.get(name) is not None}
    metadata = given.pop("metadata", {})
    texts = {name: text_of(value, name, Place(where, 1)) for name, value in given.items()}
    answer = final_answer(texts.get("answer", texts.get("label", "")))
    if not answer:
        raise DataError(f"{where}: a problem without an answer; its fields are {', '.join(row) or 'none'}")
    asked = texts.get("question", question)
    problem = Problem(
        id=texts.get("problem_id") or content_id(asked, answer),
        question=asked,
        answer=answer,
        source=texts.get("source", where),
        kind=texts.get("kind", ""),
        metadata=json.loads(metadata) if isinstance(metadata, str) else dict(metadata),
    )
    return Told(problem, final_answer(texts.get("label", answer)))
