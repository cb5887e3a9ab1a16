"""From a declared study to its cells: arm x model x seed, each a run that is found by what it is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from spurious.errors import InputError, NoLabelError
from spurious.grpo.arm import Inputs, prepare
from spurious.signals import check_label
from spurious.specs import BenchSpec, LabelSpec, RunSpec
from spurious.store import Identity
from spurious.store.fingerprint import digest
from spurious.store.state import State, find_run
from spurious.study.made import Ballot, Made, Origin, Trained, Votes, find_organism, find_votes
from spurious.study.parts import Role, VotesSpec
from spurious.study.spec import StudySpec


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of the grid. Two cells can be the same run: their fingerprints are then equal."""

    arm: str
    role: Role
    model: str
    seed: int
    fingerprint: str | None
    """None while something that the run needs is not made: what it is, is then not known yet."""
    directory: Path | None
    """Where the run is or will be; None without a fingerprint."""
    state: State = "owed"
    steps: int = 0
    """Steps that are stored."""
    seconds: float = 0.0
    """What the run has cost so far, in wall time of its process."""
    error: str = ""
    """Why it failed."""
    log: Path | None = None
    """What its last process wrote to its output."""
    first: tuple[str, ...] = ()
    """What has to be made before it, in words and in order."""

    @property
    def title(self) -> str:
        """The cell in words."""
        return f"{self.arm} on {self.model}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Planned:
    """A cell with what it takes to run it."""

    cell: Cell
    spec: RunSpec
    identity: Identity
    """Of a run without a fingerprint, provisional: equal for cells that will be the same run."""
    first: tuple[Made, ...] = ()
    """What is not there yet and has to be made before it, in that order."""


OWN = "own"
"""In the place of a table of votes: those of the very model that is trained."""


def starts(study: StudySpec, store: Path) -> dict[str, Origin]:
    """Where the study's models come from, by name, before the training that some of them have first.

    Raises:
        InputError: a recipe is unknown or wrong, or an organism's place is taken.
    """
    return {
        name: find_organism(name, model.organism, store)
        if model.organism
        else Origin(name, model.source, model.revision, ())
        for name, model in study.models.items()
    }


def origins(study: StudySpec, store: Path, sources: Inputs) -> dict[str, Origin]:
    """The study's models by name: what runs start from, and what has to be made before.

    Raises:
        InputError: a recipe is unknown or wrong, an organism's place is taken, or training that comes first cannot be
            run.
    """
    return {
        name: _trained(study, start, store, sources) if study.models[name].after else start
        for name, start in starts(study, store).items()
    }


def _trained(study: StudySpec, start: Origin, store: Path, sources: Inputs) -> Origin:
    """The model that training from `start` ends with."""
    try:
        spec, first = _with_votes(study.run_before(start.model, start.source), study.votes, start, store, sources)
        identity, directory = _settle(spec, first, store, sources)
    except InputError as error:
        raise type(error)(f"study {study.name}, model {start.model!r}: {error}") from error
    trained = Trained(start.model, spec, identity, directory or store / identity.fingerprint, first)
    return Origin(start.model, str(trained.checkpoint), None, first if trained.there else (*first, trained))


def expand(
    study: StudySpec, store: Path, data_dir: Path | None = None, *, sources: Inputs | None = None
) -> list[Planned]:
    """Every cell of the study: seed by seed, so that pairs are complete early.

    Args:
        study: what is expanded.
        store: where runs, and what is made before them, are looked for.
        data_dir: local copies of data sets, instead of the hub.
        sources: what was read for other studies already, in place of `data_dir`.

    Raises:
        InputError: an arm cannot be run, or an organism's place is taken; the message names what, and the field or row.
    """
    sources = sources or Inputs(data_dir)
    models = origins(study, store, sources)
    return [
        _planned(study, arm, models[model], seed, store, sources)
        for seed in study.seeds
        for model in study.models
        for arm in study.arms
    ]


def _planned(study: StudySpec, arm: str, origin: Origin, seed: int, store: Path, sources: Inputs) -> Planned:
    cell = Cell(arm, study.arms[arm].role, origin.model, seed, None, None)
    try:
        spec = study.run_spec(arm, origin.model, seed, origin.source)
        spec, first = _with_votes(spec, study.votes, origin, store, sources)
        identity, directory = _settle(spec, first, store, sources)
    except NoLabelError as error:
        if study.arms[arm].label.args.get("votes") != OWN:
            raise _named(error, study, cell) from error
        return Planned(replace(cell, state="failed", error=str(error)), spec, _unlabeled(spec, sources))
    except InputError as error:
        raise _named(error, study, cell) from error
    if directory is None:
        return Planned(replace(cell, first=tuple(one.title for one in first)), spec, identity, first)
    return Planned(replace(cell, fingerprint=identity.fingerprint, directory=directory), spec, identity)


def _settle(spec: RunSpec, first: tuple[Made, ...], store: Path, sources: Inputs) -> tuple[Identity, Path | None]:
    """What a run is and where it is or will be; provisional and nowhere while it needs what is not made."""
    table = spec.label.args.get("votes")
    if any(isinstance(one, Votes) and str(one.table) == table for one in first):
        return _unlabeled(spec, sources), None
    prepared = prepare(spec, sources, {})
    if first:
        return prepared.identity, None
    return prepared.identity, find_run(store, prepared.identity.fingerprint) or store / prepared.directory_name


def _with_votes(
    spec: RunSpec, settings: VotesSpec, origin: Origin, store: Path, sources: Inputs
) -> tuple[RunSpec, tuple[Made, ...]]:
    """The run with its model's own votes put in their place, and what has to be made before it."""
    if spec.label.args.get("votes") != OWN:
        return spec, origin.first
    task = sources.task(spec.task)
    template = task.template if spec.task.template == "auto" else spec.task.template
    bench = BenchSpec(
        task=spec.task.model_copy(update={"template": template}),
        k=settings.k,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens or spec.sampling.max_tokens,
        stop=spec.sampling.stop,
    )
    ballot = Ballot(bench=bench, extraction=settings.extraction, dtype=spec.dtype, rows=spec.sampling_rows)
    model = sources.model_digest(origin.source, origin.revision)
    votes = find_votes(origin, ballot, task.digest, len(task.problems), model, store)
    label = spec.label.model_copy(update={"args": {**spec.label.args, "votes": str(votes.table)}})
    first = origin.first if votes.there else (*origin.first, votes)
    return spec.model_copy(update={"label": label}), first


def _unlabeled(spec: RunSpec, sources: Inputs) -> Identity:
    """What a run is as far as it can be told while nobody knows what its reward is told; the rest is checked.

    Raises:
        InputError: as `prepare` does.
    """
    check_label(spec.label)
    known = prepare(spec.model_copy(update={"label": LabelSpec()}), sources, {}).identity
    fields = spec.model_dump(mode="json")
    return replace(known, fingerprint=digest([known.fingerprint, fields["label"]])[:8], spec=fields)


def _named(error: InputError, study: StudySpec, cell: Cell) -> InputError:
    return type(error)(f"study {study.name}, arm {cell.arm!r} on {cell.model!r}: {error}")


def distinct(planned: Iterable[Planned]) -> Iterator[Planned]:
    """The first of every group of cells that are one run."""
    seen = set()
    for one in planned:
        if one.identity.fingerprint not in seen:
            seen.add(one.identity.fingerprint)
            yield one
