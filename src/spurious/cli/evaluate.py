"""`spurious eval`: score a model, or the model behind a server, on benchmarks."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from spurious.cli.words import Arguments, benches
from spurious.terminal import say

if TYPE_CHECKING:
    from spurious.evaluate import Bench
    from spurious.policy import Sampler
    from spurious.progress import Progress


def evaluate(
    model: str,
    *,
    bench: tuple[str, ...],
    bench_args: Annotated[Arguments | None, Parameter(name="--bench.args")] = None,
    data: Path | None = None,
    server: str | None = None,
    chat: bool = False,
    k: int = 1,
    temperature: float | None = None,
    top_p: float = 1.0,
    max_tokens: int = 128,
    limit: int | None = None,
    template: str = "auto",
    seed: int = 0,
    dtype: str = "float32",
    revision: str | None = None,
    second_grader: bool = False,
    out: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Evaluate a model: avg@k with its standard error, pass@k, maj@k, grade mix, boxed and code rates, length.

    Args:
        model: A Hugging Face model directory, a hub id, or the name that a server knows it by.
        bench: math500, amc, aime24, aime25, chain, calculation, gym:NAME or a file; separate several with commas.
        bench_args: Parameters of the benchmarks' tasks, such as --bench.args.steps 6.
        data: A folder with local copies of the data sets, instead of the hub.
        server: The URL of an OpenAI-compatible server that samples instead of this process.
        chat: Use the server's chat endpoint, which applies its own template.
        k: Samples per problem; greedy for 1, temperature 0.6 for more, unless a temperature is given.
        limit: Use only the first so many problems.
        template: A prompt template; auto asks the task and the tokenizer.
        second_grader: Also grade by math-verify alone and report where the two graders disagree.
        out: A folder for the completion rows and a manifest; an interrupted evaluation goes on from there.
        json_: Print one JSON document and nothing else to standard output.
    """
    specs = benches(
        bench,
        bench_args,
        limit=limit,
        template=template,
        max_tokens=max_tokens,
        k=k,
        temperature=temperature,
        top_p=top_p,
    )
    from spurious.cli.tables import score_table
    from spurious.evaluate import open_bench
    from spurious.policy import ServerSampler, TorchSampler, load, prepare_process
    from spurious.progress import on_terminal
    from spurious.store.environment import environment
    from spurious.store.fingerprint import model_digest
    from spurious.tasks import load_bench

    process = prepare_process()
    tasks = [load_bench(spec, data_dir=data) for spec in specs]
    policy = None if server else load(model, revision=revision, dtype=dtype)
    opened = [open_bench(spec, task, policy) for spec, task in tasks]
    sampler: Sampler = TorchSampler(policy) if policy else ServerSampler(server or "", model=model, chat=chat)
    manifest = {
        "model": model,
        "model_digest": server or model_digest(model, revision),
        "server": server,
        "seed": seed,
        "dtype": dtype,
        "rows_at_once": sampler.max_rows if isinstance(sampler, TorchSampler) else None,
        "environment": {**environment(), **process},
    }
    results: dict[str, Any] = {}
    with on_terminal() as progress:
        for one in opened:
            results[one.spec.slug] = _score(one, sampler, seed, out, manifest, second_grader, progress)
    if out is not None:
        from spurious.store.files import write_json

        write_json(out / "manifest.json", {**manifest, "benches": results})
    if json_:
        say(json.dumps({**manifest, "benches": results}, indent=2))
    else:
        say(score_table({name: result["scores"] for name, result in results.items()}))


def _score(
    bench: "Bench",
    sampler: "Sampler",
    seed: int,
    out: Path | None,
    manifest: dict[str, Any],
    second_grader: bool,
    progress: "Progress",
) -> dict[str, Any]:
    """Sample and grade one benchmark, keeping completions as they come where there is a folder for them."""
    from spurious.evaluate import evaluate as score
    from spurious.evaluate import second_opinion
    from spurious.scores import summarize
    from spurious.store.digests import noted
    from spurious.store.journal import Journal

    slug = bench.spec.slug
    if out is None:
        rows = score(sampler, bench, seed, progress=progress)
    else:
        request = {
            "bench": bench.spec.model_dump(mode="json"),
            "problems": bench.task.digest,
            "template": bench.asker.template,
            **{name: manifest[name] for name in ("model_digest", "server", "model", "seed", "dtype")},
        }
        with Journal(out / f"{slug}.journal.jsonl", request) as journal:
            rows = score(sampler, bench, seed, journal=journal, progress=progress)
        with noted(out / f"{slug}.parquet") as temporary:
            rows.write_parquet(temporary)
    result: dict[str, Any] = {
        "spec": bench.spec.model_dump(mode="json"),
        "template": bench.asker.template,
        "source": bench.task.source,
        "problems": bench.task.digest,
        "scores": summarize(rows),
    }
    if second_grader:
        result["second_grader"] = second_opinion(rows)
    return result
