"""The parts of a study's declaration: models, votes, arms, and the one outcome that it is decided by."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from spurious.behaviors import BEHAVIORS
from spurious.specs import LabelSpec, RewardSpec, Spec
from spurious.store.tables import BEHAVIOR
from spurious.types import Extraction

Role = Literal["treatment", "placebo", "control"]
"""What an arm is for: `treatment` is the claim, `placebo` a reward without its information, `control` anything else."""

METRICS = ("accuracy", "strict_accuracy", "tokens", "truncated", *(f"{BEHAVIOR}{name}" for name in BEHAVIORS))
"""What a primary outcome can be: a number of one completion, averaged."""


def _one_line(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise ValueError(f"name {name!r} must be one line of text")
    return name


Name = Annotated[str, AfterValidator(_one_line)]


class ModelSpec(Spec):
    """A model of the study: a directory or hub id (in short, the bare string), or an organism to be built."""

    source: str = ""
    """A Hugging Face model directory, or a hub id."""
    revision: str | None = None
    stop: tuple[str, ...] = ()
    """Strings that end this model's completions, in training and on every benchmark, beside those said there."""
    organism: str = ""
    """A packaged recipe or a recipe file; built on demand into `<store>/organisms/<name>`."""
    after: dict[str, Any] = Field(default_factory=dict)
    """Training that comes first: fields laid over the study's base, `reward` among them. The model is then the last
    checkpoint of that run, which is kept in the store like any other."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> "ModelSpec":
        if bool(self.source) == bool(self.organism):
            raise ValueError("give either a directory or hub id (source) or the recipe of an organism (organism)")
        if self.organism and self.revision:
            raise ValueError("revision: an organism has none")
        for name in ("model", "revision", "benches"):
            if name in self.after:
                raise ValueError(f"after.{name}: not said here; training goes on from the model, without benchmarks")
        if self.after and "reward" not in self.after:
            raise ValueError("after.reward: missing; it is what the training that comes first is paid")
        return self


class VotesSpec(Spec):
    """How a model is asked for its own votes, where an arm's label reads them (`args: {votes: own}`).

    Everything else (template, stop strings, number format) is as in the runs that use them.
    """

    k: Annotated[int, Field(ge=1)] = 64
    """Votes a problem."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """null: as many as in training."""
    extraction: Extraction = "lenient"
    """Which text counts as the answer."""


class ArmSpec(Spec):
    """One arm: what is paid for, what the reward is told, and what else differs from the base."""

    role: Role
    reward: RewardSpec
    label: LabelSpec = LabelSpec()
    """Where a label reads votes, `own` in the place of a table means those of the model that is trained."""
    template: str | None = None
    """How this arm is asked, in training and on every benchmark, whatever the base and the benchmarks say."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Fields of the base that this arm changes, such as `{grpo: {clip_high: null}}`."""


class Primary(Spec):
    """The one outcome that the study is decided by; in short `accuracy@final on chain`."""

    metric: str
    """One of `METRICS`."""
    step: Annotated[int, Field(ge=0)] | Literal["final"] = "final"
    bench: str
    """The name that the benchmark's results are filed under."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = re.fullmatch(r"\s*(\S+)@(\d+|final)\s+on\s+(\S+)\s*", value)
        if not found:
            raise ValueError(f"{value!r} does not read as METRIC@STEP on BENCH, such as 'accuracy@final on chain'")
        metric, step, bench = found.groups()
        return {"metric": metric, "step": step if step == "final" else int(step), "bench": bench}

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        if metric not in METRICS:
            raise ValueError(f"unknown metric {metric!r}; there are {', '.join(METRICS)}")
        return metric

    def __str__(self) -> str:
        """The short form."""
        return f"{self.metric}@{self.step} on {self.bench}"
