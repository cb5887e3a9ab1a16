"""lm-eval's `--log_samples`: samples_TASK_DATE.jsonl, one row a problem and filter.

Columns (lm-eval 0.4.13): doc_id, doc, target, arguments, resps, filtered_resps, filter, metrics, doc_hash and the
metrics by name. `resps` holds one list a request with one text a repeat. Every filter of a task writes the same texts
again; they are read once.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from spurious.engines.files import Row
from spurious.engines.record import Columns, Place

COLUMNS: Columns = {
    "problem_id": ("problem",),
    "kind": ("task",),
    "prompt": ("request",),
    "text": ("response",),
    "answer": ("target",),
    "sample": ("repeat",),
}

_FILE = re.compile(r"samples_(?P<task>.+?)(?:_\d{4}-\d\d-\d\dT[\d.-]+)?\.jsonl")


def recognizes(names: Collection[str]) -> bool:
    """Whether a file with these columns is one of lm-eval's."""
    return {"doc_id", "doc", "resps", "filter"} <= set(names)


def first_filter(rows: Sequence[Row]) -> list[Row]:
    """The rows of the filter that comes first; the others hold the same texts."""
    name = rows[0][1].get("filter")
    return [row for row in rows if row[1].get("filter") == name]


def unfold(row: Mapping[str, Any], place: Place, file_name: str) -> Iterator[Mapping[str, Any]]:
    """One row a sampled text, with the problem's id, the task and the prompt beside it.

    The id is the log's hash of the document.

    Raises:
        DataError: the responses are no texts, as in multiple-choice tasks, where nothing was generated.
    """
    requests = row.get("resps")
    if not isinstance(requests, list) or not all(isinstance(texts, list) for texts in requests):
        raise place.refuse("resps", "not a list of lists")
    texts = [text for texts in requests for text in texts]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise place.refuse("resps", "no generated texts; only tasks of output_type generate_until have completions")
    named = _FILE.fullmatch(file_name)
    known = {
        "problem": str(row["doc_hash"])[:16] if row.get("doc_hash") else None,
        "task": named["task"] if named else None,
        "request": _prompt(row.get("arguments")),
    }
    for repeat, text in enumerate(texts):
        yield {**row, **known, "response": text, "repeat": repeat}


def _prompt(arguments: Any) -> Any:
    """The first argument of the first request, which is the prompt."""
    first = arguments.get("gen_args_0") if isinstance(arguments, Mapping) else None
    return first.get("arg_0") if isinstance(first, Mapping) else None
