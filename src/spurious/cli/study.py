"""`spurious study`: arms x models x seeds, planned, run side by side, and looked at."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from spurious.cli.words import Arguments, columns, plain
from spurious.errors import SpecError
from spurious.terminal import say

if TYPE_CHECKING:
    from spurious.study.cells import Cell
    from spurious.study.ending import Outcome
    from spurious.study.plan import Plan
    from spurious.study.spec import StudySpec
    from spurious.study.worker import Place

study = App(name="study", help="Arms x models x seeds with one declared outcome.")

Json = Annotated[bool, Parameter(name="--json", negative="")]
STORE = Path("runs")
RESULTS = Path("docs/results")


@study.command
def plan(
    path: Path,
    *,
    profile: str | None = None,
    store: Path = STORE,
    data: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json_: Json = False,
) -> None:
    """Say what a study needs before anything is run: its runs, those that are there or shared, and what they cost.

    Args:
        path: A study file, or a folder of them.
        profile: A variant that the study declares; of a folder, those studies that do not are named and left out.
        store: Where runs are kept.
        data: A folder with local copies of the data sets, instead of the hub.
        dry_run: Say instead what each model takes of a device's memory; no weights, no problems and no network needed.
        json_: Print one JSON document, and nothing else, to standard output.
    """
    from spurious.study import load_spec
    from spurious.study.plan import plan_studies, shared_runs

    files = _in_folder(path, profile) if path.is_dir() else [path]
    if dry_run:
        from spurious.cli.scale import show
        from spurious.study.scale import scale_study

        show([one for file in files for one in scale_study(load_spec(file, profile), store)], as_json=json_)
        return
    plans = plan_studies([load_spec(file, profile) for file in files], store, data)
    shared = shared_runs(plans)
    if json_:
        say(json.dumps({"studies": [_plan_document(one) for one in plans], "shared": shared}, indent=2))
        return
    for one in plans:
        say(_plan_text(one) + "\n")
    if len(plans) > 1:
        say(f"Runs that several of these studies need, and that are made once: {shared}")


@study.command
def run(
    path: Path,
    *,
    profile: str | None = None,
    jobs: str = "auto",
    only: tuple[str, ...] = (),
    store: Path = STORE,
    data: Path | None = None,
    on: str = "local",
    cpus: int = 1,
    gpus: float = 0,
    address: str | None = None,
    slurm: Annotated[Arguments | None, Parameter(name="--slurm")] = None,
) -> None:
    """Run what a study still owes, side by side. Run again after any interruption, it goes on where it stopped.

    Every run computes on one thread unless OMP_NUM_THREADS says otherwise; with large models or a GPU, say how many
    --jobs may run at once. A run that fails does not stop the others; the exit status is 1 if any did.

    Args:
        path: A study file.
        profile: A variant that the study declares.
        jobs: Runs side by side; auto is one for each core, and on a cluster as many as it has room for.
        only: Run only this arm; repeat for more.
        store: Where runs are kept; on a cluster every machine sees it, and this working directory, under one path.
        data: A folder with local copies of the data sets, instead of the hub.
        on: local, ray (each run a task on a Ray cluster) or slurm (job arrays).
        cpus: Cores of one run on a cluster; it computes on so many threads.
        gpus: GPUs of one run on a cluster; a part of one with Ray.
        address: Of the Ray cluster; auto is the one this machine belongs to, none starts one of this machine alone.
        slurm: Parameters of submitit, such as --slurm.slurm_partition gpu or --slurm.timeout_min 600.
    """
    from spurious.study import load_spec, open_study
    from spurious.study.places import placed
    from spurious.study.record import folder

    spec = load_spec(path, profile)
    _check_arms(spec, only)
    with placed(on, folder(store, spec.name), cpus, gpus, address, plain(slurm)) as place:
        outcome = run_owed(spec, store, data=data, jobs=jobs, only=only, place=place)
    done = open_study(folder(store, spec.name))
    say(_grid(done.cells))
    say(f"{folder(store, spec.name)}", file=sys.stderr)
    outcome.check(store)


@study.command
def status(
    path: Path, *, profile: str | None = None, store: Path = STORE, data: Path | None = None, json_: Json = False
) -> None:
    """Show the grid: which runs are owed, running, failed or done, and what each has cost in seconds.

    Args:
        path: A study file, or the folder that a study has in a store.
        profile: A variant that the study declares.
        store: Where runs are kept.
        data: A folder with local copies of the data sets, instead of the hub.
        json_: Print one JSON document, and nothing else, to standard output.
    """
    from spurious.study import load_spec, open_study
    from spurious.study.plan import plan_studies

    if path.is_dir():
        opened = open_study(path, profile=profile)
        name, cells = opened.spec.name, opened.cells
        first: dict[str, float | None] = {title: None for cell in cells for title in cell.first}
    else:
        planned = plan_studies([load_spec(path, profile)], store, data)[0]
        name, cells, first = planned.study.name, planned.cells, planned.first
    if json_:
        rows = [_cell_document(cell) for cell in cells]
        say(json.dumps({"study": name, "states": _states(cells), "first": _first(first), "cells": rows}, indent=2))
        return
    say("\n".join([_grid(cells), *_first_text(first)]))
    for cell in cells:
        if cell.state == "failed":
            say(f"{cell.title}: {cell.error}" + (f"\n  log: {cell.log}" if cell.log else ""))


@study.command
def results(
    path: Path,
    *,
    profile: str | None = None,
    store: Path = STORE,
    out: Path = RESULTS,
    data: Path | None = None,
) -> None:
    """Write what a study found as small files: summary.json, a CSV for each table, and its main figures as SVG.

    Where no browser draws figures there is everything else. What is missing or failed is listed, in the summary too.

    Args:
        path: A study file.
        profile: A variant that the study declares.
        store: Where runs are kept.
        out: The folder in which the study gets a folder of its own.
        data: A folder with local copies of the data sets, instead of the hub.
    """
    from spurious.study.results import write_results

    written = write_results(path, store, out, profile=profile, data_dir=data)
    say("\n".join(map(str, (written.summary, *written.files))))
    if written.not_drawn:
        say(f"no figures: {written.not_drawn}", file=sys.stderr)
    if written.missing:
        say("\n".join(("missing:", *written.missing)), file=sys.stderr)


@study.command
def pages(*paths: Path, results: Path = RESULTS) -> None:
    """Write the tables of Markdown pages anew from results: what stands between their markers, and nothing else.

    Args:
        paths: Markdown files with `<!-- results: STUDY -->` and `<!-- end of results -->`.
        results: The folder that `study results` writes into, with demands.yaml.
    """
    from spurious.store.files import write_text
    from spurious.study.checked import load_demands
    from spurious.study.pages import filled

    demands = load_demands(results / "demands.yaml")
    for path in paths:
        write_text(path, filled(path, results, demands))
        say(path)


def run_owed(
    spec: "StudySpec",
    store: Path,
    *,
    data: Path | None = None,
    jobs: str = "auto",
    only: Sequence[str] = (),
    place: "Place | None" = None,
) -> "Outcome":
    """Run what a study owes, with a display where there is a terminal."""
    from spurious.study.display import watching
    from spurious.study.launch import run_study

    with watching() as watch:
        return run_study(spec, store, data_dir=data, jobs=_jobs(jobs), only=only, watch=watch, place=place)


def _jobs(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise SpecError(f"--jobs: a number of runs, 1 or more, or auto; not {text!r}")
    return int(text)


def _check_arms(spec: "StudySpec", only: Iterable[str]) -> None:
    for arm in only:
        if arm not in spec.arms:
            raise SpecError(f"--only: there is no arm {arm!r}; there are {', '.join(spec.arms)}")


def _grid(cells: "Sequence[Cell]") -> str:
    """One line for each model and arm, one column for each seed."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for cell in sorted(cells, key=lambda one: [other.model for other in cells].index(one.model)):
        line = lines.setdefault((cell.model, cell.arm), {"": f"{cell.model}, {cell.arm}"})
        line[f"seed {cell.seed}"] = _state(cell)
    counts = ", ".join(f"{n} {state}" for state, n in _states(cells).items())
    return f"{columns(lines.values())}\n{counts}"


def _state(cell: "Cell") -> str:
    cost = f" {cell.seconds:.0f} s" if cell.seconds else ""
    steps = f" after {cell.steps} steps" if cell.steps and cell.state != "done" else ""
    return cell.state + steps + cost


def _states(cells: "Iterable[Cell]") -> dict[str, int]:
    """Runs by state; a run that is several cells counts once."""
    runs = {cell.fingerprint or cell.title: cell.state for cell in cells}
    counts = Counter(runs.values())
    return {state: counts[state] for state in ("done", "running", "failed", "owed") if counts[state]}


def _cell_document(cell: "Cell") -> dict[str, Any]:
    return {
        "arm": cell.arm,
        "role": cell.role,
        "model": cell.model,
        "seed": cell.seed,
        "run": cell.fingerprint,
        "directory": str(cell.directory) if cell.directory else None,
        "state": cell.state,
        "first": list(cell.first),
        "steps": cell.steps,
        "seconds": cell.seconds,
        "error": cell.error or None,
        "log": str(cell.log) if cell.log else None,
    }


def _first(first: Mapping[str, float | None]) -> list[dict[str, Any]]:
    return [{"title": title, "seconds": seconds} for title, seconds in first.items()]


def _first_text(first: Mapping[str, float | None]) -> list[str]:
    """What is made before runs, a line each, with its cost where that is known."""
    from spurious.study.display import duration

    costs = {title: "" if seconds is None else f", about {duration(seconds)}" for title, seconds in first.items()}
    return [f"to be made first: {title}{cost}" for title, cost in costs.items()]


def _in_folder(folder: Path, profile: str | None) -> list[Path]:
    """The studies of a folder, with a profile those that declare it."""
    from spurious.study import load_spec

    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise SpecError(f"{folder}: there is no study (*.yaml) in this folder")
    left_out = [file for file in files if profile is not None and profile not in load_spec(file).profiles]
    if left_out == files:
        raise SpecError(f"{folder}: profiles: no study of this folder has a profile {profile!r}")
    if left_out:
        say(f"no profile {profile}, left out: {', '.join(file.stem for file in left_out)}", file=sys.stderr)
    return [file for file in files if file not in left_out]


def _plan_document(one: "Plan") -> dict[str, Any]:
    return {
        "study": one.study.name,
        "question": one.study.question,
        "primary": str(one.study.primary),
        "cells": [_cell_document(cell) for cell in one.cells],
        "runs": one.runs,
        "done": one.done,
        "owed": one.owed,
        "first": _first(one.first),
        "seconds": one.seconds,
    }


def _plan_text(one: "Plan") -> str:
    from spurious.study.display import duration
    from spurious.study.worker import cores

    lines = [
        f"{one.study.name}: {one.study.question}",
        f"primary outcome: {one.study.primary}",
        _grid(one.cells),
        f"{len(one.cells)} cells are {one.runs} runs; {one.done} are there, {one.owed} are owed",
    ]
    lines += _first_text(one.first)
    if one.seconds is None:
        lines.append("cost: unknown, no finished run is like these")
    else:
        side = cores()
        lines.append(
            f"cost: about {duration(one.seconds)} on one core, {duration(one.seconds / side)} on the {side} here"
        )
    return "\n".join(lines)
