"""`spurious check-data`: what is wrong with a problem set, row by row."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from spurious.cli.words import Arguments, plain
from spurious.specs import TaskSpec
from spurious.terminal import say


def check_data(
    data_set: str,
    *,
    args: Annotated[Arguments | None, Parameter(name="--args")] = None,
    against: str | None = None,
    data: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Report unusable answers, duplicates, contradictions and overlap; to find something is no failure.

    Args:
        data_set: A JSON, JSONL or parquet file, or a data set by name (math500, deepscaler, ...).
        args: Parameters of the data set, such as the columns: --args.question prompt --args.answer solution.
        against: Another file or data set, the training set say; questions that stand in both are reported.
        data: A folder with local copies of the named data sets, instead of the hub.
        json_: Print one JSON document and nothing else.
    """
    from spurious.tasks import read_task
    from spurious.tasks.check import as_dicts, as_table, check

    task = read_task(TaskSpec(name=data_set, args=plain(args)), data_dir=data)
    other = read_task(TaskSpec(name=against), data_dir=data) if against else None
    findings = check(task, other)
    if json_:
        counts = dict(Counter(finding.kind for finding in findings))
        document = {"rows": len(task.problems), "counts": counts, "findings": as_dicts(findings)}
        say(json.dumps(document, indent=2))
    else:
        say(as_table(findings))
