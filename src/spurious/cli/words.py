"""From the words of a command line to the fields of a specification."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import yaml

from spurious.errors import SpecError
from spurious.specs import BenchSpec, LabelSpec, RewardSpec, TaskSpec

Arguments = dict[str, str]
"""`--reward.args.gamma 0.3` and the like, still as text."""

NamedT = TypeVar("NamedT", RewardSpec, LabelSpec)


def plain(arguments: Arguments | None) -> dict[str, Any]:
    """The values of arguments as YAML reads them: 3 is a number, true a boolean, [a, b] a list."""
    return {name: yaml.safe_load(value) for name, value in (arguments or {}).items()}


def named(kind: type[NamedT], text: str, arguments: Arguments | None) -> NamedT:
    """A reward or label by name or as one JSON document, with the arguments given beside it.

    Raises:
        SpecError: arguments are given both inside the document and beside it.
    """
    spec = kind.model_validate(text)
    if not arguments:
        return spec
    if spec.args:
        raise SpecError(f"{kind.__name__}: arguments stand both in {text!r} and in options of their own")
    return spec.model_copy(update={"args": plain(arguments)})


def benches(
    names: Iterable[str],
    arguments: Arguments | None,
    *,
    limit: int | None,
    template: str,
    max_tokens: int,
    **fields: Any,
) -> tuple[BenchSpec, ...]:
    """Benchmarks by name; `a,b` names two."""
    each = [part.strip() for name in names for part in name.split(",") if part.strip()]
    return tuple(
        BenchSpec(
            task=TaskSpec(name=name, args=plain(arguments), template=template, limit=limit),
            max_tokens=max_tokens,
            **fields,
        )
        for name in each
    )


def percent(value: float | None) -> str:
    """A share for people: one decimal, in percent."""
    return "-" if value is None else f"{100 * value:.1f}"


def columns(rows: Iterable[Mapping[str, str]]) -> str:
    """Rows with the same keys as an aligned text table, the keys on top; numbers to the right."""
    table = list(rows)
    if not table:
        return ""
    names = list(table[0])
    widths = {name: max(len(name), *(len(row[name]) for row in table)) for name in names}
    lines = [{name: name for name in names}, *table]
    return "\n".join(
        "  ".join(
            row[name].ljust(widths[name]) if i == 0 else row[name].rjust(widths[name]) for i, name in enumerate(names)
        ).rstrip()
        for row in lines
    )
