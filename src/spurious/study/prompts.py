"""What the untrained models of a study did under other prompts, wherever in the store that was measured."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from spurious.specs import BenchSpec
from spurious.store import load, read_manifest
from spurious.study.study import Study


def prompted_rows(study: Study) -> pl.DataFrame:
    """Rows of step 0 on the problems of the primary benchmark, one run a prompt, with `model` and `prompt_name`.

    A run of any study in the store counts if it is done and started from the same weights on the same problems, with as
    many samples at the same temperature and length; only how the problems are put into words may differ. Empty where
    nothing is done.
    """
    wanted = _wanted(study)
    found: dict[tuple[str, str], tuple[Path, str, int]] = {}
    if wanted:
        for done in sorted(study.store.glob("*--*/DONE")):
            manifest = read_manifest(done.parent)
            for like, bench in _benches(manifest):
                for model in wanted.get(like, ()):
                    found.setdefault((model, _words(bench)), (done.parent, bench.slug, manifest["spec"]["seed"]))
    tables = [
        load(directory)
        .rows("evals", steps=[0], texts=False)
        .filter(pl.col("bench") == slug)
        .with_columns(pl.lit(model).alias("model"), pl.lit(words).alias("prompt_name"), pl.lit(seed).alias("seed"))
        for (model, words), (directory, slug, seed) in found.items()
    ]
    return pl.concat(tables, how="diagonal_relaxed") if tables else pl.DataFrame()


def _wanted(study: Study) -> Mapping[tuple[Any, ...], list[str]]:
    """What a benchmark has to be like -> the models of the study that it then speaks of."""
    wanted: defaultdict[tuple[Any, ...], list[str]] = defaultdict(list)
    for cell in study.cells:
        if cell.state == "done" and cell.directory is not None:
            for like, bench in _benches(read_manifest(cell.directory)):
                if bench.slug == study.spec.primary.bench and cell.model not in wanted[like]:
                    wanted[like].append(cell.model)
    return wanted


def _benches(manifest: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], BenchSpec]]:
    """Each benchmark of a run, with what makes it comparable: weights, problems, sampling."""
    for fields in manifest["spec"]["benches"]:
        bench = BenchSpec.model_validate(fields)
        weights, problems = (manifest["inputs"].get(name) for name in ("model", f"bench/{bench.slug}"))
        if weights and problems:
            yield (weights, problems, bench.k, bench.sampling.model_dump_json()), bench


def _words(bench: BenchSpec) -> str:
    """How a benchmark is asked."""
    opened = f", its turn opened by {bench.task.prefix!r}" if bench.task.prefix else ""
    return ("its usual prompt" if bench.task.template == "auto" else f"template {bench.task.template}") + opened
