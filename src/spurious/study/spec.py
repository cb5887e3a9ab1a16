"""What a study declares before it is run: arms, models, seeds, one primary outcome, and what it is compared with.

Paths inside a study (model directories, problem files, `file.py:function`) start from the working directory, as they do
on the command line.
"""

from collections.abc import Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from spurious.behaviors import PRESENT
from spurious.errors import SpecError
from spurious.specs import BenchSpec, RunSpec, Spec, TaskSpec
from spurious.study.parts import ArmSpec, ModelSpec, Name, Primary, VotesSpec

_ARM_SAYS = ("reward", "label")
_STUDY_SAYS = ("model", "revision", "seed", "benches")
_NAMED = ("task", "reward", "label")
"""Fields that are told apart by name: another name replaces all of them, nothing is merged across names."""


def _count(value: Any) -> Any:
    return list(range(value)) if isinstance(value, int) and not isinstance(value, bool) else value


def _several(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {treatment: [one] if isinstance(one, str) else one for treatment, one in value.items()}


class StudySpec(Spec):
    """Arms x models x seeds, one declared outcome, and the comparisons it decides.

    Every arm sees the same problems and the same sampling noise under one seed, so differences are paired.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=80)]
    """Also the study's folder in the store."""
    question: Annotated[str, Field(min_length=1)]
    expectation: Annotated[str, Field(min_length=1)]
    """What is expected and why, written down before the first run."""
    base: dict[str, Any]
    """Fields of `RunSpec` that all arms share; model, seed, benches, reward and label are said elsewhere."""
    arms: dict[Name, ArmSpec] = Field(min_length=1)
    models: dict[Name, ModelSpec] = Field(min_length=1)
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_count), Field(min_length=1)]
    """A list, or a number n for 0 to n - 1."""
    benches: tuple[BenchSpec, ...] = Field(min_length=1)
    votes: VotesSpec = VotesSpec()
    primary: Primary
    compare: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_several)] = Field(default_factory=dict)
    """Arm -> the arm or arms it is compared with; by default every treatment with every placebo."""
    behavior: str = "code_reasoning"
    """The habit that strategy switches and curves follow: one of `spurious.behaviors` that is there or not."""
    margin: Annotated[float, Field(gt=0)] | None = None
    """The largest effect that counts as none, in units of the primary outcome."""
    profiles: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Variants by name: `base` and `arms` are merged into the study's own, anything else replaces it."""

    @field_validator("behavior")
    @classmethod
    def _there_or_not(cls, behavior: str) -> str:
        if behavior not in PRESENT:
            raise ValueError(f"must be one of {', '.join(PRESENT)}, not {behavior!r}")
        return behavior

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The declared comparisons: (arm, the arm it is compared with)."""
        if self.compare:
            return tuple((arm, other) for arm, others in self.compare.items() for other in others)
        by_role = {
            role: [name for name, arm in self.arms.items() if arm.role == role] for role in ("treatment", "placebo")
        }
        return tuple((arm, other) for arm in by_role["treatment"] for other in by_role["placebo"])

    def run_spec(self, arm: str, model: str, seed: int, source: str | None = None) -> RunSpec:
        """The specification of one run.

        Args:
            arm: by name.
            model: by name.
            seed: one of the study's or another.
            source: the directory or hub id of the model; None: what the study says, which an organism has not.

        Raises:
            SpecError: the arm and the base do not make a run; the message names the field.
        """
        chosen, asked = self.arms[arm], self.models[model]
        revision = asked.revision if source in (None, asked.source) else None
        fields = {
            **merged(self.base, chosen.overrides),
            **{"model": source or asked.source, "revision": revision, "seed": seed, "benches": self.benches},
            **{"reward": chosen.reward, "label": chosen.label},
        }
        run = _run(fields, asked.stop, f"arms.{arm}.overrides", chosen.overrides)
        return _asked(run, chosen.template)

    def run_before(self, model: str, source: str | None = None) -> RunSpec:
        """The specification of the training that a model has `after`; no benchmarks, for what it ends with is one.

        Args:
            model: by name.
            source: where that training starts from; None: what the study says, which an organism has not.

        Raises:
            SpecError: `after` and the base do not make a run; the message names the field.
        """
        asked = self.models[model]
        where = {"model": source or asked.source, "revision": asked.revision, "benches": (), "eval_every": None}
        run = _run({**merged(self.base, asked.after), **where}, asked.stop, f"models.{model}.after", asked.after)
        if run.steps == 0:
            raise SpecError(f"models.{model}.after.steps: no step leaves no model to start from")
        return run

    @model_validator(mode="after")
    def _consistent(self) -> "StudySpec":
        for where, fields in (
            ("base", self.base),
            *((f"arms.{n}.overrides", a.overrides) for n, a in self.arms.items()),
        ):
            for name in fields:
                if name in _STUDY_SAYS:
                    raise ValueError(f"{where}.{name}: said by the study's models, seeds and benches")
                if name in _ARM_SAYS:
                    raise ValueError(f"{where}.{name}: said by the arm itself")
        for name, asked in self.arms.items():
            task = asked.overrides.get("task")
            if asked.template is not None and isinstance(task, Mapping) and "template" in task:
                raise ValueError(f"arms.{name}: template and overrides.task.template both say how it is asked")
        for name, model in self.models.items():
            if model.after:
                self.run_before(name)
        twice = [seed for seed in self.seeds if self.seeds.count(seed) > 1]
        if twice:
            raise ValueError(f"seeds: {twice[0]} is there twice")
        for arm, other in self.pairs:
            for name in (arm, other):
                if name not in self.arms:
                    raise ValueError(f"compare.{arm}: there is no arm {name!r}; there are {', '.join(self.arms)}")
            if arm == other:
                raise ValueError(f"compare.{arm}: an arm cannot be compared with itself")
        for arm in self.arms:
            self._check_primary(arm, self.run_spec(arm, next(iter(self.models)), self.seeds[0]))
        return self

    def _check_primary(self, arm: str, run: RunSpec) -> None:
        """Refuse an outcome that a run would not have."""
        slugs = [bench.slug for bench in self.benches]
        if self.primary.bench not in slugs:
            raise ValueError(f"primary: no bench is filed as {self.primary.bench!r}; there are {', '.join(slugs)}")
        step = self.primary.step
        if step == "final" or step in (0, run.steps):
            return
        if step > run.steps or not run.eval_every or step % run.eval_every:
            raise ValueError(
                f"primary: arm {arm!r} is not evaluated at step {step}; see base.steps and base.eval_every"
            )


def load_spec(path: Path, profile: str | None = None) -> StudySpec:
    """Read a study from a YAML file, with one of its profiles applied.

    Raises:
        SpecError: the message names file and field.
    """
    try:
        fields = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError as error:
        raise SpecError(f"{path}: there is no such study file") from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not readable as YAML: {error}") from error
    return resolve(fields, profile, str(path))


def resolve(fields: Any, profile: str | None = None, where: str = "study") -> StudySpec:
    """A study from its fields as YAML has them; with a profile, its name gets the profile's behind it.

    Raises:
        SpecError: the message starts with `where` and names the field.
    """
    if not isinstance(fields, Mapping):
        raise SpecError(f"{where}: a study is a mapping of fields")
    try:
        return StudySpec.model_validate(_with_profile(fields, profile, where) if profile else fields)
    except ValidationError as error:
        raise SpecError(f"{where}: {_complaints(error)}") from error


def merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `overrides` laid over it, field by field; a task or a reward of another name replaces the old one."""
    result = dict(base)
    for name, value in overrides.items():
        old = result.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and (name not in _NAMED or _alike(old, value)):
            value = merged(old, value)
        result[name] = value
    return result


def _run(fields: Mapping[str, Any], stop: tuple[str, ...], where: str, overrides: Mapping[str, Any]) -> RunSpec:
    """A run of these fields, `overrides` of them said at the place `where`.

    Raises:
        SpecError: the message names the place in the study of what is wrong.
    """
    try:
        return _stopped(RunSpec.model_validate(fields), stop)
    except ValidationError as error:
        raise SpecError(_complaints(error, partial(_origin, where, overrides))) from error


def _asked(run: RunSpec, template: str | None) -> RunSpec:
    """The run with its problems and its benchmarks asked with an arm's own template, if it has one."""
    if template is None:
        return run

    def asked(task: TaskSpec) -> TaskSpec:
        return task.model_copy(update={"template": template})

    benches = tuple(bench.model_copy(update={"task": asked(bench.task)}) for bench in run.benches)
    return run.model_copy(update={"task": asked(run.task), "benches": benches})


def _stopped(run: RunSpec, stop: tuple[str, ...]) -> RunSpec:
    """The run with a model's own stop strings added wherever it samples."""

    def added(old: tuple[str, ...]) -> dict[str, Any]:
        return {"stop": tuple(dict.fromkeys((*old, *stop)))}

    benches = tuple(bench.model_copy(update=added(bench.stop)) for bench in run.benches)
    return run.model_copy(
        update={"sampling": run.sampling.model_copy(update=added(run.sampling.stop)), "benches": benches}
    )


def _alike(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two forms of a named spec speak of one name: both short for it, or the new one adds to a long one."""
    long = {"name", "args", "of", "template", "prefix", "limit"}
    if set(old) <= long and set(new) <= long:
        return "name" not in new or new["name"] == old.get("name")
    return set(old) == set(new)


def _with_profile(fields: Mapping[str, Any], profile: str, where: str) -> dict[str, Any]:
    profiles = fields.get("profiles") or {}
    if not isinstance(profiles, Mapping) or profile not in profiles:
        known = ", ".join(map(str, profiles)) or "none"
        raise SpecError(f"{where}: profiles: there is no profile {profile!r}; there is {known}")
    chosen = profiles[profile]
    if not isinstance(chosen, Mapping):
        raise SpecError(f"{where}: profiles.{profile}: a profile is a mapping of fields")
    rest = {name: value for name, value in fields.items() if name != "profiles"}
    for name, value in chosen.items():
        merges = name in ("base", "arms") and isinstance(value, Mapping) and isinstance(rest.get(name), Mapping)
        rest[name] = merged(rest[name], value) if merges else value
    return {**rest, "name": f"{fields.get('name')}-{profile}"}


def _complaints(error: ValidationError, name: Any = ".".join) -> str:
    """One sentence for each thing that is wrong; `name` turns the place of a value into words."""
    return "; ".join(
        f"{name([str(part) for part in problem['loc']]) or 'study'}: {problem['msg'].removeprefix('Value error, ')}"
        if problem["loc"]
        else problem["msg"].removeprefix("Value error, ")
        for problem in error.errors()
    )


def _origin(where: str, overrides: Mapping[str, Any], place: list[str]) -> str:
    """Where the study says the value at a place of a run: in the overrides, or else in the base."""
    inside: Any = overrides
    for part in place:
        if not isinstance(inside, Mapping) or part not in inside:
            break
        inside = inside[part]
    else:
        return ".".join([where, *place])
    return ".".join([*(() if place and place[0] == "benches" else ("base",)), *place])


class _Loader(yaml.SafeLoader):
    """A safe loader that does not let the second of two equal keys win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)
