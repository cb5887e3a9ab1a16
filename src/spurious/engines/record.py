"""One row of another tool in our words: which fields there are, and how a foreign value becomes one of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spurious.errors import DataError, InputError

MAX_TEXT = 2_000_000
"""Characters of one prompt or completion."""

TEXTS = ("text", "prompt", "question", "answer", "problem_id", "kind", "stop", "label", "model")
INTEGERS = ("step", "copy", "sample", "n_tokens", "seed")
NUMBERS = ("reward", "advantage", "logprob")
FLAGS = ("correct",)
FIELDS = (*TEXTS, *INTEGERS, *NUMBERS, *FLAGS)
"""What `--column FIELD=NAME` may name. `question` is the bare question where the file has it; with the answer it makes
the problem's id. `correct` is somebody else's grade: where it is mapped, ours is not asked."""

Columns = Mapping[str, Sequence[str]]
"""From field to the columns that may hold it; the first one present does."""

Fields = dict[str, Any]
"""Field to value, of the field's type, or None."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, for messages."""

    file: str
    row: int

    def refuse(self, name: str, why: str) -> DataError:
        """The error that names file, row and column."""
        return DataError(f"{self.file}, row {self.row}, column {name!r}: {why}")


def pick(row: Mapping[str, Any], columns: Columns, place: Place) -> Fields:
    """The fields of a row, converted; a field without a column, or with a null, is None.

    Raises:
        DataError: a value is of the wrong type or too large, or there is no completion text.
    """
    fields: Fields = {}
    for field, names in columns.items():
        name = next((name for name in names if has(row, name)), None)
        fields[field] = None if name is None else _convert(field, value_at(row, name), name, place)
    if fields.get("text") is None:
        wanted = ", ".join(columns.get("text", ()))
        raise DataError(f"{place.file}, row {place.row}: no completion text in {wanted}; it has {', '.join(row)}")
    return fields


def has(row: Mapping[str, Any], name: str) -> bool:
    """Whether a row has a column; `doc.answer` is `answer` inside the object `doc`."""
    head, dot, rest = name.partition(".")
    return name in row or bool(dot and isinstance(row.get(head), Mapping) and has(row[head], rest))


def value_at(row: Mapping[str, Any], name: str) -> Any:
    """The value that `has` found."""
    if name in row:
        return row[name]
    head, _, rest = name.partition(".")
    return value_at(row[head], rest)


def require(columns: Mapping[str, str], row: Mapping[str, Any], place: Place) -> None:
    """Refuse a mapping to a column that the file does not have.

    Raises:
        InputError: the message names the option and the columns there are.
    """
    for field, name in columns.items():
        if not has(row, name):
            raise InputError(f"--column {field}={name}: {place.file} has no such column, only {', '.join(row)}")


def _convert(field: str, value: Any, name: str, place: Place) -> Any:
    if isinstance(value, list | tuple) and field == "answer" and len(value) == 1:
        value = value[0]
    if value is None:
        return None
    if field in TEXTS:
        return final_answer(text_of(value, name, place)) if field == "answer" else text_of(value, name, place)
    if field in FLAGS:
        return _flag(value, name, place)
    return _integer(value, name, place) if field in INTEGERS else _number(value, name, place)


def text_of(value: Any, name: str, place: Place) -> str:
    """Text, a number as written, or a conversation: the contents of its messages, the assistant's where it speaks.

    Raises:
        DataError: it is nothing of that, or longer than `MAX_TEXT`.
    """
    if isinstance(value, list):
        text = _conversation(value, name, place)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value)
    else:
        raise place.refuse(name, f"a {type(value).__name__} is neither text nor a conversation")
    if len(text) > MAX_TEXT:
        raise place.refuse(name, f"{len(text):,} characters; at most {MAX_TEXT:,} are read")
    # A lone surrogate is legal in JSON and illegal in a table.
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _conversation(messages: Iterable[Any], name: str, place: Place) -> str:
    said: list[tuple[str, str]] = []
    for message in messages:
        if not isinstance(message, Mapping) or "content" not in message:
            raise place.refuse(name, "a list that holds something else than messages with 'content'")
        content = message["content"]
        parts = content if isinstance(content, list) else [content]
        for part in parts:
            words = part.get("text") if isinstance(part, Mapping) else part
            if isinstance(words, str):
                said.append((str(message.get("role")), words))
            elif words is not None:
                raise place.refuse(name, f"a message whose content is a {type(words).__name__}")
    assistant = [words for role, words in said if role == "assistant"]
    return "\n\n".join(assistant or [words for _, words in said])


def final_answer(text: str) -> str:
    """A true answer; GSM8K keeps it behind four hashes, after the derivation."""
    return text.rpartition("####")[2].strip()


def _integer(value: Any, name: str, place: Place) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or not -(2**63) <= value < 2**63:
        raise place.refuse(name, f"{str(value)[:40]!r} is not a whole number of 64 bits")
    return int(value)


def _number(value: Any, name: str, place: Place) -> float | None:
    """A finite number; NaN is what TRL writes for 'no reward', and None here."""
    if not isinstance(value, int | float):
        raise place.refuse(name, f"a {type(value).__name__} is not a number")
    try:
        number = float(value)
    except OverflowError as error:
        raise place.refuse(name, "the number is too large") from error
    if math.isinf(number):
        raise place.refuse(name, "the number is infinite")
    return None if math.isnan(number) else number


def _flag(value: Any, name: str, place: Place) -> bool:
    if not isinstance(value, bool | int | float) or value not in (0, 1):
        raise place.refuse(name, f"{str(value)[:40]!r} is neither true nor false, 1 nor 0")
    return bool(value)
