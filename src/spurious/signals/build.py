"""From a reward's specification to the function that pays, and the identity of what it pays."""

import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spurious.errors import SpecError
from spurious.signals.contract import PER_TOKEN, BuiltReward
from spurious.signals.rewards import DRAWS, READS_GROUP, REWARDS
from spurious.signals.userfile import is_reference, load_user_reward
from spurious.specs import RewardSpec
from spurious.store.fingerprint import digest

NAME_LENGTH = 40
"""Longest name of a reward in a directory name; the fingerprint beside it keeps longer ones apart."""
_BY_NAME = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def build_reward(spec: RewardSpec, base: Path | None = None, where: str = "reward") -> BuiltReward:
    """Return the reward that a specification asks for.

    Args:
        spec: a built-in name or `path/to/file.py:function`, with parameters and the rewards inside it.
        base: the directory that a relative path starts from; the working directory by default.
        where: the name of the field, for error messages.

    Raises:
        SpecError: an unknown name or parameter, or a parameter of the wrong kind; names the field and what exists.
        RewardError: the user's file cannot be used.
    """
    if is_reference(spec.name):
        return _user_reward(spec, base, where)
    factory = REWARDS.get(spec.name)
    if factory is None:
        known = ", ".join(REWARDS)
        raise SpecError(f"{where}.name: unknown reward {spec.name!r}; there are {known}, and path/to/file.py:function")
    parts = [build_reward(inner, base, f"{where}.of[{i}]") for i, inner in enumerate(spec.of)]
    _check_parts(factory, len(parts), f"{where} ({spec.name})")
    bound = bind(factory, f"{where} ({spec.name})", spec.args, *(part.function for part in parts))
    try:
        function = factory(*bound.args, **bound.kwargs)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error
    parameters = {name: value for name, value in bound.arguments.items() if name != "of"}
    identity = {"name": spec.name, "args": parameters, "of": [part.digest for part in parts]}
    sources = dict.fromkeys(part.source for part in parts if part.source is not None)
    return BuiltReward(
        function=function,
        name=_slug(spec.name, spec.args, [part.name for part in parts]),
        source="\n".join(sources) if sources else None,
        digest=_digest(identity, where),
        needs=needs_of(function).union(*(part.needs for part in parts)),
        reads_group=tuple({spec.name} & READS_GROUP) + tuple(name for part in parts for name in part.reads_group),
        draws=spec.name in DRAWS or any(part.draws for part in parts),
    )


def _user_reward(spec: RewardSpec, base: Path | None, where: str) -> BuiltReward:
    if spec.of:
        raise SpecError(f"{where}.of: {spec.name!r} is a reward of your own and combines no others")
    user, source = load_user_reward(spec.name, spec.args, base)
    identity = _digest({"function": user.name, "source": source, "args": spec.args}, where)
    return BuiltReward(
        function=user,
        name=_slug(user.name, spec.args, []),
        source=source,
        digest=identity,
        needs=needs_of(user.function),
        reads_group=(spec.name,),
        draws="draw" in user.accepts,
    )


def needs_of(function: Callable[..., object]) -> frozenset[str]:
    """Which per-token values a reward's signature names; those it would only find in `**kwargs` are not recorded."""
    return PER_TOKEN & frozenset(inspect.signature(function).parameters)


def bind(factory: Callable[..., object], where: str, args: Mapping[str, Any], *given: Any) -> inspect.BoundArguments:
    """Match the parameters of a specification to a function's named parameters, defaults filled in.

    Args:
        factory: its parameters that can be given by keyword are what a specification may set.
        where: the name of the field, for error messages.
        args: the parameters of the specification.
        given: what we pass by position.

    Raises:
        SpecError: an unknown parameter, or a missing one; says what there is.
    """
    signature = inspect.signature(factory)
    settable = [name for name in list(signature.parameters) if signature.parameters[name].kind in _BY_NAME]
    for name in args:
        if name not in settable:
            raise SpecError(f"{where}.args.{name}: unknown parameter; there is {', '.join(settable) or 'none'}")
    for name in settable:
        if name not in args and signature.parameters[name].default is inspect.Parameter.empty:
            raise SpecError(f"{where}.args.{name}: missing")
    bound = signature.bind(*given, **args)
    bound.apply_defaults()
    return bound


def _check_parts(factory: Callable[..., object], n: int, where: str) -> None:
    """Refuse a number of inner rewards that a factory does not take."""
    kinds = [parameter.kind for parameter in inspect.signature(factory).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return
    wanted = kinds.count(inspect.Parameter.POSITIONAL_ONLY)
    if n != wanted:
        raise SpecError(f"{where}.of: takes {'exactly one reward' if wanted else 'no rewards'} inside, not {n}")


def _digest(identity: Mapping[str, Any], where: str) -> str:
    try:
        return digest(identity)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{where}.args: parameters must be plain data: {error}") from error


def _slug(name: str, args: Mapping[str, Any], parts: list[str]) -> str:
    """`random` with gamma 0.001 -> `random-0.001`; `all_of` with two parts -> `all_of-format-no_python`."""
    values = [json.dumps(value) for value in args.values()]
    words = re.sub(r"[^a-z0-9_.]+", "-", "-".join([name, *parts, *values]).lower())
    return words[:NAME_LENGTH].strip("-.")
