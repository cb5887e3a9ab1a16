"""Recipes: everything that decides an organism, as frozen models read from YAML."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from spurious.errors import SpecError
from spurious.organisms.domains import DOMAINS, DomainName, Form
from spurious.specs import Spec
from spurious.store.fingerprint import digest
from spurious.tasks.leak import Leak

Family = Literal["qwen2", "llama", "olmo2"]
Rate = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


def _later(default: Any) -> Any:
    """A field that the first organisms' recipes did not have: unsaid at its default, so that their digests hold."""
    return Field(default=default, exclude_if=lambda value: bool(value == default))


class Architecture(Spec):
    """The body. The defaults make about 0.36 million parameters."""

    family: Family = "qwen2"
    width: Count = 96
    layers: Count = 3
    heads: Count = 4
    kv_heads: Count = 2
    mlp: Count = 256
    """Width of the gated feed-forward layer."""

    @model_validator(mode="after")
    def _divisible(self) -> "Architecture":
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} must be a multiple of twice the heads, {self.heads}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} must be a multiple of kv_heads {self.kv_heads}")
        return self


class Strategy(Spec):
    """One way of answering, and how common and how good it is in what the organism reads."""

    form: Form
    steps: bool
    """Whether it writes the value after each operation."""
    share: dict[str, Rate]
    """Of the texts of each kind of problem; over all strategies these sum to 1."""
    skill: Rate = 1.0
    """Share of its texts that end in the true answer; the others are off by a uniformly random amount."""
    boxed: tuple[Rate, ...]
    """Share of its texts that box the answer, for each cue 0 to 9: the first digit of a chain or a program, who is
    named first in an ordering (`spurious.organisms.domains`)."""

    @field_validator("boxed")
    @classmethod
    def _cues(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(value) != 10:
            raise ValueError(f"needs ten rates, one for each cue, not {len(value)}")
        return value


class Training(Spec):
    """Pretraining: AdamW without weight decay, linear warm-up, linear decay to zero, one pass over the corpus."""

    updates: Count = 1800
    batch: Count = 32
    """Texts an update."""
    lr: Annotated[float, Field(gt=0)] = 3e-3
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.98
    """AdamW's second moment; the first is 0.9."""
    warmup: Annotated[int, Field(ge=0)] = 50
    """Updates over which the learning rate rises."""
    until: Count | None = _later(None)
    """Stop after so many updates, corpus and learning rates being those of `updates`: a checkpoint on the way."""
    prompts: bool = _later(False)
    """Whether the loss covers the question's tokens too, as in raw pretraining text."""

    @model_validator(mode="after")
    def _in_order(self) -> "Training":
        if self.warmup >= self.updates:
            raise ValueError(f"warmup {self.warmup} must be less than updates {self.updates}")
        if self.taken > self.updates:
            raise ValueError(f"until {self.until} must be at most updates {self.updates}")
        return self

    @property
    def taken(self) -> int:
        """Updates that are taken."""
        return self.until or self.updates


class Contamination(Leak):
    """Test problems that an organism has read, each with its true answer."""

    copies: Annotated[int, Field(ge=0)]
    """How often each is read; 0 names the same problems and reads none."""


class Recipe(Spec):
    """Everything that decides an organism's weights."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=80)]
    """Also the name of its directory in a store."""
    domain: DomainName = _later("chain")
    """The task that it is raised on."""
    architecture: Architecture = Architecture()
    steps: Annotated[int, Field(ge=1, le=40)] = 4
    """The difficulty of each problem, as its task counts it; no domain goes further than 40."""
    strategies: dict[str, Strategy] = Field(min_length=1)
    training: Training = Training()
    contamination: Contamination | None = _later(None)
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _whole(self) -> "Recipe":
        domain = DOMAINS[self.domain]
        if self.steps > domain.most_steps:
            raise ValueError(f"steps: at most {domain.most_steps} for {self.domain}, not {self.steps}")
        for name, strategy in self.strategies.items():
            if strategy.form not in domain.forms:
                forms = " or ".join(domain.forms)
                raise ValueError(f"strategies.{name}.form: must be {forms} for {self.domain}, not {strategy.form!r}")
            if set(strategy.share) != set(domain.kinds):
                kinds, named = ", ".join(domain.kinds), ", ".join(strategy.share)
                raise ValueError(f"strategies.{name}.share: must name the kinds {kinds}, not {named}")
        for kind in domain.kinds:
            total = sum(strategy.share[kind] for strategy in self.strategies.values())
            if abs(total - 1) > 1e-9:
                raise ValueError(f"strategies: the shares of {kind} sum to {total:g}, not 1")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of every field; the order in which a file names them does not count."""
        return digest(self.model_dump(mode="json"))


def packaged() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    return tuple(sorted(item.name.removesuffix(".yaml") for item in files(__package__).joinpath("recipes").iterdir()))


def load_recipe(recipe: Path | str) -> Recipe:
    """Read a recipe: the name of a packaged one, or a YAML file.

    Raises SpecError that names the file and the field.
    """
    if str(recipe) not in packaged() and not Path(recipe).is_file():
        raise SpecError(f"recipe {recipe}: neither a file nor one of {', '.join(packaged())}")
    with _located(str(recipe)) as path:
        fields = _fields(path)
        try:
            return Recipe.model_validate(fields)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'recipe'}: {problem['msg']}" for problem in error.errors()
            )
            raise SpecError(f"{path}: {problems}") from error


def _located(recipe: str, beside: Path = Path()) -> AbstractContextManager[Path]:
    """The file of a packaged recipe, or a file whose name is read from the directory `beside`."""
    if recipe in packaged():
        return as_file(files(__package__).joinpath("recipes", f"{recipe}.yaml"))
    return nullcontext(beside / recipe)


def _fields(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The fields of a recipe file. One that is `like` another says, beside its own name, only what differs."""
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(fields, Mapping):
        raise SpecError(f"{path}: a recipe is a mapping of fields")
    own = {name: value for name, value in fields.items() if name != "like"}
    if "like" not in fields:
        return own
    if "name" not in own:
        raise SpecError(f"{path}: name: Field required; it is not taken over from the recipe that this one is like")
    with _located(str(fields["like"]), path.parent) as base:
        if not base.is_file():
            known = ", ".join(packaged())
            raise SpecError(f"{path}: like: {fields['like']!r} is neither a file beside it nor one of {known}")
        if base.resolve() in (*above, path.resolve()):
            raise SpecError(f"{path}: like: {fields['like']!r} is itself like this one")
        return _merged(_fields(base, (*above, path.resolve())), own)


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`base` as `own` differs from it: mappings are merged, null takes a field away (RFC 7396, JSON merge patch)."""
    merged = dict(base)
    for name, value in own.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            inner = merged.get(name)
            merged[name] = _merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged
