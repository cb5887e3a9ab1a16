"""What is made before the runs that need it: organisms, models that are trained first, and models' own votes.

Each knows whether it is there, what has to be made before it, and what to ask of the process that makes it. It appears
whole or not at all, and two commands that want the same thing make it once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spurious.organisms.recipe import Recipe, load_recipe
from spurious.organisms.record import holds
from spurious.specs import BenchSpec, RunSpec, Spec
from spurious.store import Identity
from spurious.store.fingerprint import FINGERPRINT_VERSION, digest
from spurious.types import Extraction
from spurious.verify import GRADER_VERSION


@dataclass(frozen=True, slots=True)
class Organism:
    """A model that is pretrained here."""

    model: str
    """Its name in the study."""
    recipe: Recipe
    directory: Path

    @property
    def there(self) -> bool:
        """Whether it is built. StoreError where something else stands in its place."""
        return holds(self.directory, self.recipe)

    @property
    def first(self) -> tuple["Made", ...]:
        """What it waits for: nothing."""
        return ()

    @property
    def key(self) -> str:
        """Names its files in the study's folder."""
        return f"organism-{self.recipe.name}"

    @property
    def title(self) -> str:
        """It in words."""
        return f"organism {self.model}"

    def request(self) -> dict[str, Any]:
        """What the process is told, apart from where data lies."""
        recipe = self.recipe.model_dump(mode="json")
        return {"do": "organism", "recipe": recipe, "directory": str(self.directory)}


class Ballot(Spec):
    """What is asked of a model for its votes."""

    bench: BenchSpec
    """The training problems as a benchmark: template, votes a problem, temperature, length."""
    extraction: Extraction
    dtype: str
    rows: int
    """Completions drawn at once; decides memory and nothing else."""

    def digest(self, problems: str, model: str = "") -> str:
        """16 hex digits of all that decides the votes; how the problems are called and where they lie does not.

        Args:
            problems: the digest of the problems.
            model: the digest of the model; empty: of what one model's votes have in common with another's.
        """
        task = self.bench.task
        asked = {"template": task.template, "prefix": task.prefix, **self.bench.model_dump(exclude={"task", "name"})}
        versions = [FINGERPRINT_VERSION, GRADER_VERSION]
        return digest([versions, asked, self.extraction, self.dtype, problems, model])[:16]


@dataclass(frozen=True, slots=True)
class Votes:
    """A model's own votes: `<store>/votes/<digest>.parquet`, its completions beside it, and, last, what it is."""

    model: str
    source: str
    """Where the model is: a directory or a hub id."""
    revision: str | None
    ballot: Ballot
    problems: str
    """The digest of the problems."""
    n_problems: int
    table: Path
    """Provisional while the model is not there."""
    first: tuple["Made", ...]
    """What is made before them: the model."""

    @property
    def record(self) -> Path:
        """What was asked, how good the labels are and what they cost."""
        return self.table.with_suffix(".json")

    @property
    def there(self) -> bool:
        """Whether they are counted."""
        return not self.first and self.table.exists() and self.record.exists()

    @property
    def kind(self) -> str:
        """Equal for votes that should cost alike: of other models, on the same problems, in the same way."""
        return self.ballot.digest(self.problems)

    @property
    def key(self) -> str:
        """Names their files in the study's folder."""
        return f"votes-{self.table.stem}"

    @property
    def title(self) -> str:
        """They in words."""
        return f"votes of {self.model}, {self.ballot.bench.k} on each of {self.n_problems} problems"

    def request(self) -> dict[str, Any]:
        """What the process is told, apart from where data lies."""
        return {
            "do": "votes",
            "model": self.source,
            "revision": self.revision,
            "ballot": self.ballot.model_dump(mode="json"),
            "table": str(self.table),
            "record": str(self.record),
        }


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that is trained first: the last checkpoint of a run, which is found in the store by what it is."""

    model: str
    spec: RunSpec
    identity: Identity
    directory: Path
    """Of the run; provisional while what it needs is not there."""
    first: tuple["Made", ...]
    """What is made before it."""

    @property
    def there(self) -> bool:
        """Whether the run is complete."""
        return not self.first and (self.directory / "DONE").exists()

    @property
    def checkpoint(self) -> Path:
        """The model's directory."""
        return self.directory / "checkpoints" / f"{self.spec.steps:06d}"

    @property
    def key(self) -> str:
        """Names its files in the study's folder."""
        return f"trained-{self.identity.fingerprint}"

    @property
    def title(self) -> str:
        """It in words."""
        return f"model {self.model}, {self.spec.steps} steps of {self.spec.reward.name}, seed {self.spec.seed}"

    def request(self) -> dict[str, Any]:
        """What the process is told, apart from where data lies."""
        return run_request(self.spec, self.identity, self.directory)


Made = Organism | Trained | Votes


def run_request(spec: RunSpec, identity: Identity, directory: Path | None) -> dict[str, Any]:
    """What the process of a run is told, apart from where data and the store lie."""
    return {
        "do": "run",
        "spec": spec.model_dump(mode="json"),
        "fingerprint": identity.fingerprint,
        "directory": str(directory) if directory and directory.exists() else None,
    }


@dataclass(frozen=True, slots=True)
class Origin:
    """A model of the study: what its runs start from."""

    model: str
    """Its name in the study."""
    source: str
    """A directory or a hub id."""
    revision: str | None
    first: tuple[Made, ...]
    """What is not there yet and made first, in that order."""


def find_organism(model: str, recipe: str, store: Path) -> Origin:
    """The organism of a recipe, in its place in the store.

    Raises:
        SpecError: the recipe is unknown or wrong.
        StoreError: something else stands in its place.
    """
    read = load_recipe(recipe)
    organism = Organism(model, read, store / "organisms" / read.name)
    return Origin(model, str(organism.directory), None, () if organism.there else (organism,))


def find_votes(origin: Origin, ballot: Ballot, problems: str, n: int, model_digest: str, store: Path) -> Votes:
    """A model's votes in their place in the store; `problems` and `model_digest` say what is asked of whom."""
    table = store / "votes" / f"{ballot.digest(problems, model_digest)}.parquet"
    return Votes(origin.model, origin.source, origin.revision, ballot, problems, n, table, origin.first)
