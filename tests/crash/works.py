"""The pieces of work that are killed: each with what it needs, how it is done, and what has to come out of it."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import yaml

import spurious
from spurious.cli import main
from spurious.organisms import build, load_recipe
from spurious.organisms.recipe import Architecture, Training
from spurious.report import render
from spurious.specs import RunSpec
from spurious.study import child, open_study
from spurious.study.followed import Followed
from spurious.study.launch import run_study
from spurious.study.record import folder as study_folder
from spurious.study.shown import material_of
from spurious.study.spec import resolve
from spurious.study.worker import Here
from spurious.training import train

RECIPE = load_recipe("bad-code").model_copy(
    update={
        "architecture": Architecture(family="llama", width=16, layers=1, heads=2, kv_heads=1, mlp=32),
        "training": Training(updates=4, batch=8, warmup=2),
    }
)
BENCH = {"task": {"chain": {"steps": 1, "size": 4}}, "max_tokens": 8}
RUN = {
    "task": {"chain": {"steps": 1, "size": 16}},
    "steps": 3,
    "grpo": {"prompts_per_rollout": 2, "group_size": 4, "updates_per_rollout": 2},
    "sampling": {"max_tokens": 8},
}
STUDY = {
    "name": "small",
    "question": "Does a coin help?",
    "expectation": "It does not.",
    "base": {**RUN, "steps": 2},
    "benches": [BENCH],
    "arms": {"truth": {"role": "treatment", "reward": "ground_truth"}, "coin": {"role": "placebo", "reward": "random"}},
    "seeds": 1,
    "primary": "accuracy@final on chain",
}
CHAIN = ["--bench", "chain", "--bench.args.steps=1", "--bench.args.size=12", "--max-tokens=8", "--k=2"]
VOTES = ["--task", "chain", "--task.args.steps=1", "--task.args.size=12", "--max-tokens=8", "--votes=3"]

Results = Mapping[str, Any]
"""By name: the digest of a file, or the rows of one that says how long it took."""


@dataclass(frozen=True)
class Work:
    """Something that takes a while and can be killed."""

    name: str
    prepare: Callable[[Path], None]
    do: Callable[[Path, Path], None]
    """Begin, or go on: what is needed, and where it is done."""
    results: Callable[[Path], Results]
    look: Callable[[Path], Results]
    """What a reader is given of unfinished work; it may also refuse."""

    def agrees(self, name: str, value: Any, expected: Results) -> bool:
        """Whether something that unfinished work shows is what the finished one says there."""
        if isinstance(value, list):
            return value == list(expected.get(name, ()))[: len(value)]
        return expected.get(name, value if "/checkpoints/" in f"/{name}" else None) == value


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def untimed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if "seconds" not in name}


def of_runs(root: Path) -> Results:
    """Every result of every run at or below a folder."""
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        parts = {"rollouts", "evals", "checkpoints"}.intersection(name.parts)
        if path.is_file() and ".tmp-" not in str(name) and (parts or path.name == "DONE"):
            found[str(name)] = digest(path)
        elif path.name == "metrics.jsonl":
            lines = path.read_bytes().split(b"\n")[:-1]
            found[str(name)] = [untimed(json.loads(line)) for line in lines]
    return found


def of_files(root: Path, *patterns: str) -> Results:
    """Those that have appeared: one that is still being written has a name of its own."""
    there = [path for pattern in patterns for path in sorted(root.glob(pattern))]
    return {path.name: digest(path) for path in there if not path.name.startswith(".tmp-")}


def organism(place: Path) -> None:
    build(RECIPE, place / "model")


def read_organism(place: Path) -> Results:
    built = place / "model"
    found = dict(of_files(built, "*.safetensors", "config.json", "generation_config.json", "tokenizer*.json"))
    if (built / "organism.json").exists():
        record = json.loads((built / "organism.json").read_text(encoding="utf-8"))
        found["organism.json"] = {k: v for k, v in untimed(record).items() if k != "tokens_per_second"}
    return found


def one_run(needed: Path, place: Path) -> None:
    spec = RunSpec.model_validate(
        {**RUN, "model": str(needed / "model"), "reward": "random", "benches": [BENCH], "eval_every": 1}
    )
    train(spec, place / "run")


def read_run(place: Path) -> Results:
    """What is there; the tables of notebooks and reports have to take it, too."""
    runs = spurious.load(place)
    _ = runs.runs, runs.metrics, runs.rollouts, runs.evals
    return of_runs(place)


def command(*arguments: str | Path) -> None:
    """Run the command line; a refusal is raised with its message."""
    try:
        main([str(one) for one in arguments])
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"exit status {end.code}") from end


def evaluation(needed: Path, place: Path) -> None:
    command("eval", needed / "model", *CHAIN, "--out", place)


def read_evaluation(place: Path) -> Results:
    found = dict(of_files(place, "*.parquet"))
    if (place / "manifest.json").exists():
        found["manifest.json"] = json.loads((place / "manifest.json").read_text(encoding="utf-8"))["benches"]
    return found


def labeling(needed: Path, place: Path) -> None:
    command("label", needed / "model", *VOTES, "--out", place / "votes.parquet")


class Fork(Followed):
    """A process of a study, forked from this one."""

    def __init__(self, title: str, request: dict[str, Any], log: Path) -> None:
        super().__init__(title, log)
        theirs, self._lifeline = Pipe(duplex=False)
        self._pid = os.fork()
        if self._pid == 0:
            self._lifeline.close()
            code: Any = 1
            try:
                child.main(request, log, theirs, self._writer)
            except SystemExit as end:
                code = end.code
            finally:
                os._exit(code)
        theirs.close()
        self._writer.close()

    def ask_to_stop(self) -> None:
        """Nobody asks: it is killed."""

    def close(self) -> None:
        """Wait for its end."""
        os.waitpid(self._pid, 0)
        self._lifeline.close()
        self.reports.close()

    @property
    def death(self) -> str:
        return "killed"


class Forks(Here):
    """This machine, without a fork server: this process has everything loaded."""

    def start(self, title: str, request: dict[str, Any], log: Path) -> Followed:
        return Fork(title, request, log)


def declared(needed: Path) -> dict[str, Any]:
    return {**STUDY, "models": {"tiny": str(needed / "model")}}


def study(needed: Path, place: Path) -> None:
    outcome = run_study(resolve(declared(needed)), place, jobs=1, place=Forks())
    if not outcome.complete:
        raise RuntimeError(str(outcome))


def read_study(place: Path) -> Results:
    """What is there, after a page was made of it: that has to go at any time."""
    home = study_folder(place, "small")
    if (home / "cells.json").exists():
        render(material_of(open_study(home), home / "study.yaml", home))
    return of_runs(place)


def prepare_report(needed: Path) -> None:
    organism(needed)
    study(needed, needed / "store")
    (needed / "small.yaml").write_text(yaml.safe_dump(declared(needed)), encoding="utf-8")


def report(needed: Path, place: Path) -> None:
    command("report", study_folder(needed / "store", "small"), "--out", place / "report.html")


def read_page(place: Path) -> Results:
    return of_files(place, "*.html")


def nothing(_: Path) -> None:
    return


WORKS = {
    work.name: work
    for work in (
        Work("pretraining", nothing, lambda needed, place: organism(place), read_organism, read_organism),
        Work("training", organism, one_run, of_runs, read_run),
        Work("evaluation", organism, evaluation, read_evaluation, read_evaluation),
        Work(
            "labeling",
            organism,
            labeling,
            lambda place: of_files(place, "*.parquet"),
            lambda place: of_files(place, "*.parquet"),
        ),
        Work("study", organism, study, of_runs, read_study),
        Work("report", prepare_report, report, read_page, read_page),
    )
}
