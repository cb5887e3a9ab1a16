"""From a task spec to a task: which tasks exist, what arguments they take, and the check of every true answer."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic
from pydantic import ValidationError, validate_call

from spurious.errors import DataError, SpecError
from spurious.specs import BenchSpec, Spec, TaskSpec
from spurious.tasks import calculation, chain, gym, mathsets, ordering, program, prompts
from spurious.tasks.base import Task, grade_math
from spurious.tasks.files import SUFFIXES, build_file
from spurious.tasks.leak import LeakPart, leaked_rows
from spurious.types import Problem
from spurious.verify import unparsable_golds

T = TypeVar("T")

Field = Literal["question", "answer"]

GENERATORS: dict[str, tuple[Callable[..., tuple[Problem, ...]], str]] = {
    "chain": (chain.build, "organism"),
    "program": (program.build, "organism"),
    "ordering": (ordering.build, "organism"),
    "calculation": (calculation.build, "auto"),
}
"""Tasks whose problems come from a function of their arguments; with the template that `auto` means for them."""

TASKS = (*GENERATORS, *mathsets.MATH_SETS)
"""Tasks by name. Beside them stand `gym:<dataset>` and the paths of problem files."""

BENCH_SIZE = 500
"""Problems of a generated benchmark that asks for no other number: a standard error of at most 2.3 points."""

_GYM = "gym:"
_SHOWN = 5


def has_splits(name: str) -> bool:
    """Whether a task's argument `split` chooses between disjoint `train` and `test` problems."""
    return name in GENERATORS or name.startswith(_GYM)


class Selection(Spec):
    """The arguments that every task takes, beside its own."""

    bad_rows: Literal["error", "drop"] = "error"
    """What to do about an empty question and a true answer that is empty or that no parser understands."""
    kinds: Annotated[tuple[str, ...], pydantic.Field(min_length=1)] | None = None
    """Use only problems of these kinds."""
    leaked: LeakPart | None = None
    """Use only the problems that a recipe's contamination draws from this benchmark, or only the others."""
    ids: Annotated[tuple[str, ...], pydantic.Field(min_length=1)] | None = None
    """Use only these problems, in this order."""

    @pydantic.field_validator("ids")
    @classmethod
    def _once(cls, ids: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if twice := [one for one, n in Counter(ids).items() if n > 1]:
            raise ValueError(f"{twice[0]!r} is there twice")
        return ids


def load_bench(spec: BenchSpec, *, data_dir: Path | None = None) -> tuple[BenchSpec, Task]:
    """Load a benchmark's problems, and complete its specification: tasks that have a held-out split are asked from it.

    Raises as `load_task` does.
    """
    if has_splits(spec.task.name):
        held_out = spec.task.model_copy(update={"args": {"split": "test", "size": BENCH_SIZE, **spec.task.args}})
        spec = spec.model_copy(update={"task": held_out})
    return spec, load_task(spec.task, data_dir=data_dir)


def load_task(spec: TaskSpec, *, data_dir: Path | None = None) -> Task:
    """The task that a spec describes, every true answer checked.

    Math sets come from `data_dir`, or from the hub where it is None. `args.leaked`, `args.kinds`, `args.ids` and
    `spec.limit` are applied before the check, so that twenty problems of a large set are quick to load. Raises
    SpecError for an unknown task, template or argument and DataError for unusable data; with `args.bad_rows: drop`
    unusable rows are left out, and `task.source["dropped"]` lists them.
    """
    if spec.template != "auto":
        prompts.resolve(spec.template, None)
    selection, args = _split_args(spec)
    task = _of_part(_read(spec.name, args, data_dir), selection.leaked)
    problems = _by_id(task.name, _of_kinds(task, selection.kinds), selection.ids)
    return _checked(replace(task, problems=problems[: spec.limit]), selection.bad_rows)


def read_task(spec: TaskSpec, *, data_dir: Path | None = None) -> Task:
    """The task that a spec describes, all of it, with nothing checked: what `check-data` looks at."""
    _, args = _split_args(spec)
    return _read(spec.name, args, data_dir)


def _split_args(spec: TaskSpec) -> tuple[Selection, dict[str, Any]]:
    """What every task takes, and what is left for this one."""
    common = {name: value for name, value in spec.args.items() if name in Selection.model_fields}
    own = {name: value for name, value in spec.args.items() if name not in common}
    try:
        return Selection(**common), own
    except ValidationError as error:
        raise _argument_error(spec.name, error, Selection.model_fields) from error


def _read(name: str, args: Mapping[str, Any], data_dir: Path | None) -> Task:
    if name in GENERATORS:
        build, template = GENERATORS[name]
        source = {"generator": name, **_defaults(build), **args}
        return Task(name, _call(name, build, args), template, source)
    if name in mathsets.MATH_SETS:
        return _call(name, partial(mathsets.build, name, data_dir), args)
    if name.startswith(_GYM):
        return _call(name, partial(gym.build, name.removeprefix(_GYM)), args)
    if Path(name).suffix in SUFFIXES:
        return _call(name, partial(build_file, Path(name)), args)
    raise SpecError(
        f"task: {name!r} is unknown; there are {', '.join(TASKS)}, gym:<dataset>, and paths that end in "
        f"{', '.join(SUFFIXES)}"
    )


def _call(name: str, build: Callable[..., T], args: Mapping[str, Any]) -> T:
    """Call with checked arguments: an unknown one, or one of the wrong type or range, is a SpecError that names it."""
    try:
        return validate_call(build)(**args)
    except ValidationError as error:
        raise _argument_error(name, error, [*_defaults(build), *Selection.model_fields]) from error


def _argument_error(name: str, error: ValidationError, known: Iterable[str]) -> SpecError:
    first = error.errors()[0]
    field = first["loc"][0]
    return SpecError(
        f"task {name}, args.{field}: {first['msg']} (got {first['input']!r}); its arguments are {', '.join(known)}"
    )


def _defaults(build: Callable[..., Any]) -> dict[str, Any]:
    """A builder's own arguments, its keyword-only parameters, with their defaults."""
    parameters = inspect.signature(build).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _of_part(task: Task, wanted: LeakPart | None) -> Task:
    if wanted is None:
        return task
    leaked = set(leaked_rows(wanted, len(task.problems)))
    kept = (problem for i, problem in enumerate(task.problems) if (i in leaked) == (wanted.part == "leaked"))
    return replace(task, problems=tuple(kept), source={**task.source, "leaked": wanted.model_dump()})


def _of_kinds(task: Task, kinds: tuple[str, ...] | None) -> tuple[Problem, ...]:
    if kinds is None:
        return task.problems
    present = {problem.kind for problem in task.problems}
    if missing := [kind for kind in kinds if kind not in present]:
        raise SpecError(f"task {task.name}, args.kinds: no problem of kind {missing[0]!r}; there are {sorted(present)}")
    return tuple(problem for problem in task.problems if problem.kind in kinds)


def _by_id(name: str, problems: tuple[Problem, ...], ids: tuple[str, ...] | None) -> tuple[Problem, ...]:
    """The problems with these ids, in the order of the ids; of verbatim copies the first."""
    if ids is None:
        return problems
    known = {problem.id: problem for problem in reversed(problems)}
    if missing := [one for one in ids if one not in known]:
        raise SpecError(f"task {name}, args.ids: none of {len(problems)} problems has the id {missing[0]!r}")
    return tuple(known[one] for one in ids)


def _checked(task: Task, bad_rows: Literal["error", "drop"]) -> Task:
    """The task if its problems are usable, or what is left of it."""
    bad = unusable(task)
    if not bad:
        return task
    rows = [f"{place(task.problems[i])}, {field}: {reason}" for i, (field, reason) in sorted(bad.items())]
    if bad_rows == "error" or len(bad) == len(task.problems):
        more = f"\n... and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        listed = "\n".join(rows[:_SHOWN]) + more
        raise DataError(
            f"task {task.name}: {len(bad)} unusable rows (args: {{bad_rows: drop}} leaves them out)\n{listed}"
        )
    kept = tuple(problem for i, problem in enumerate(task.problems) if i not in bad)
    return replace(task, problems=kept, source={**task.source, "dropped": rows})


def unusable(task: Task) -> dict[int, tuple[Field, str]]:
    """Index of each problem that cannot be asked or graded -> the field at fault and what is wrong with it."""
    bad: dict[int, tuple[Field, str]] = {}
    if task.grade is grade_math:
        answers = [problem.answer for problem in task.problems]
        bad = {i: ("answer", f"{answers[i]!r}: {reason}") for i, reason in unparsable_golds(answers).items()}
    for i, problem in enumerate(task.problems):
        if not problem.answer.strip():
            bad[i] = ("answer", "empty")
        if not problem.question.strip():
            bad[i] = ("question", "empty")
    return bad


def place(problem: Problem) -> str:
    """Where a problem stands: file and row where it was read, else its source and id."""
    if "row" in problem.metadata:
        return f"{problem.metadata['file']}, row {problem.metadata['row']}"
    return f"{problem.source}, problem {problem.id}"
