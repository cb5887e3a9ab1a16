"""From a declared study to its cells: arm x model x seed, each a run that is found by what it is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spurious.errors import InputError
from spurious.grpo.arm import Inputs, prepare
from spurious.organisms.recipe import Recipe, load_recipe
from spurious.organisms.record import holds
from spurious.specs import RunSpec
from spurious.store import Identity
from spurious.store.state import State, find_run
from spurious.study.spec import Role, StudySpec


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of the grid. Two cells can be the same run: their fingerprints are then equal."""

    arm: str
    role: Role
    model: str
    seed: int
    fingerprint: str | None
    """None while the organism that the run starts from is not built: what it is, is then not known yet."""
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


@dataclass(frozen=True, slots=True)
class Organism:
    """A model of the study that is made here."""

    model: str
    recipe: Recipe
    directory: Path

    @property
    def built(self) -> bool:
        """Whether it is there; a build appears whole or not at all. StoreError where something else is."""
        return holds(self.directory, self.recipe)


def organisms(study: StudySpec, store: Path) -> dict[str, Organism]:
    """The study's organisms by the name of the model.

    Raises:
        SpecError: a recipe is unknown or wrong.
    """
    found = {}
    for name, model in study.models.items():
        if model.organism:
            recipe = load_recipe(model.organism)
            found[name] = Organism(name, recipe, store / "organisms" / recipe.name)
    return found


def expand(study: StudySpec, store: Path, data_dir: Path | None = None) -> list[Planned]:
    """Every cell of the study: seed by seed, so that pairs are complete early.

    Raises:
        InputError: an arm cannot be run, or an organism's place is taken; the message names what, and the field or row.
    """
    made = organisms(study, store)
    unbuilt = {name for name, organism in made.items() if not organism.built}
    models = {name: str(made[name].directory) if name in made else model.source for name, model in study.models.items()}
    sources = Inputs(data_dir)
    return [
        _planned(study, arm, model, seed, models[model], store, sources, known=model not in unbuilt)
        for seed in study.seeds
        for model in study.models
        for arm in study.arms
    ]


def _planned(
    study: StudySpec, arm: str, model: str, seed: int, source: str, store: Path, sources: Inputs, *, known: bool
) -> Planned:
    spec = study.run_spec(arm, model, seed, source)
    try:
        prepared = prepare(spec, sources, {})
    except InputError as error:
        raise type(error)(f"study {study.name}, arm {arm!r} on {model!r}: {error}") from error
    role = study.arms[arm].role
    if not known:
        return Planned(Cell(arm, role, model, seed, None, None), spec, prepared.identity)
    fingerprint = prepared.identity.fingerprint
    directory = find_run(store, fingerprint) or store / prepared.directory_name
    return Planned(Cell(arm, role, model, seed, fingerprint, directory), spec, prepared.identity)


def distinct(planned: Iterable[Planned]) -> Iterator[Planned]:
    """The first of every group of cells that are one run."""
    seen = set()
    for one in planned:
        if one.identity.fingerprint not in seen:
            seen.add(one.identity.fingerprint)
            yield one
