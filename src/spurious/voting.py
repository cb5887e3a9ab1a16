"""A model's own votes on the problems of a task: sampled, kept as they come, counted, and held against the truth."""

from pathlib import Path
from typing import Any

from spurious.evaluate import Bench, evaluate
from spurious.policy import Sampler
from spurious.progress import Progress, quiet
from spurious.signals import LabelReport, label_report, tally
from spurious.store.digests import noted
from spurious.store.journal import Journal
from spurious.types import Extraction


def vote(
    sampler: Sampler,
    bench: Bench,
    out: Path,
    *,
    model: str,
    extraction: Extraction,
    seed: int = 0,
    progress: Progress = quiet,
) -> LabelReport:
    """Sample every problem and write the table of votes, `signals.VOTES_SCHEMA`; says how good its labels are.

    Interrupted, it goes on where it stopped: the completions are kept beside the table as `<out>.journal.jsonl`.

    Args:
        sampler: the policy in process, or a server.
        bench: the problems, how they are asked, and how many votes each gets (`k`).
        out: the parquet file; it appears whole or not at all.
        model: what the model is, a digest or an address: the completions of another one are not gone on with.
        extraction: which text counts as the answer.
        seed: of the draws.
        progress: told of every problem.

    Raises:
        StoreError: the completions beside `out` are the answers to something else.
    """
    request: dict[str, Any] = {
        "label": bench.spec.model_dump(mode="json"),
        "problems": bench.task.digest,
        "model": model,
        "seed": seed,
    }
    with Journal(journal_path(out), request) as journal:
        rows = evaluate(sampler, bench, seed, journal=journal, progress=progress)
    texts = {str(key): group["text"].to_list() for (key,), group in rows.group_by("problem_id", maintain_order=True)}
    table = tally(texts, extraction)
    with noted(out) as temporary:
        table.write_parquet(temporary)
    return label_report(table, bench.task.problems)


def journal_path(out: Path) -> Path:
    """Where the completions behind a table of votes are kept."""
    return out.with_name(f"{out.name}.journal.jsonl")
