"""`spurious label`: a model's own votes on a task, for the majority and incorrect arms."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from spurious.cli.words import Arguments, plain
from spurious.errors import SpecError
from spurious.specs import BenchSpec, TaskSpec
from spurious.terminal import say
from spurious.types import Extraction


def label(
    model: str,
    *,
    task: str,
    out: Path,
    task_args: Annotated[Arguments | None, Parameter(name="--task.args")] = None,
    votes: int = 64,
    limit: int | None = None,
    template: str = "auto",
    data: Path | None = None,
    server: str | None = None,
    chat: bool = False,
    temperature: float = 1.0,
    max_tokens: int = 128,
    extraction: Extraction = "lenient",
    seed: int = 0,
    dtype: str = "float32",
    revision: str | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Sample answers to every training problem and count the votes; an interrupted labeling goes on where it stopped.

    Args:
        model: A Hugging Face model directory, a hub id, or the name that a server knows it by.
        task: The problems to label, as for `spurious train`.
        out: The table of votes, a parquet file; the completions stay beside it as OUT.journal.jsonl.
        votes: Samples per problem (64 in the paper).
        server: The URL of an OpenAI-compatible server that samples instead of this process.
    """
    if out.suffix != ".parquet":
        raise SpecError(f"out: votes are a parquet file, so {out.name!r} should end in .parquet")
    from spurious.evaluate import open_bench
    from spurious.policy import Sampler, ServerSampler, TorchSampler, load, prepare_process
    from spurious.progress import on_terminal
    from spurious.store.fingerprint import model_digest
    from spurious.tasks import load_task
    from spurious.voting import vote

    prepare_process()
    spec = TaskSpec(name=task, args=plain(task_args), template=template, limit=limit)
    problems = load_task(spec, data_dir=data)
    policy = None if server else load(model, revision=revision, dtype=dtype)
    sampler: Sampler = TorchSampler(policy) if policy else ServerSampler(server or "", model=model, chat=chat)
    ballot = BenchSpec(task=spec, k=votes, temperature=temperature, max_tokens=max_tokens)
    bench = open_bench(ballot, problems, policy)
    name = server or model_digest(model, revision)
    with on_terminal() as progress:
        counted = vote(sampler, bench, out, model=name, extraction=extraction, seed=seed, progress=progress)
    report = asdict(counted)
    say(json.dumps(report, indent=2) if json_ else "\n".join(f"{name}: {value}" for name, value in report.items()))
