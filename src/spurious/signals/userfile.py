"""Rewards written by the user: `path/to/file.py:function`, loaded, called with what it takes, and watched.

The file stands alone: its text is the record of what was paid, so it cannot import a neighbor that is not installed.
"""

import hashlib
import importlib.util
import inspect
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from spurious.errors import RewardError, SpecError
from spurious.keys import Draw
from spurious.signals.contract import OFFERED, NotReproducibleWarning, checked
from spurious.types import Problem

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_BY_POSITION = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


@dataclass
class UserReward:
    """A user's function under the contract of `Reward`; warns once when it draws from ambient randomness.

    Ambient means the global generators of `random`, `numpy.random` and torch, compared before and after every call, and
    anything else that makes two calls on the first group differ: the clock, the operating system, a fresh generator.
    """

    function: Callable[..., object]
    name: str
    accepts: frozenset[str]
    """Which of `OFFERED` the function takes."""
    args: Mapping[str, Any] = field(default_factory=dict)
    _called: bool = field(default=False, init=False, repr=False)
    _warned: bool = field(default=False, init=False, repr=False)

    def __call__(
        self, completions: Sequence[str], /, *, label: str, problem: Problem, draw: Draw, **kwargs: Any
    ) -> list[float]:
        """Pay one group with exactly the arguments that the function's signature takes."""
        offered = {"label": label, "problem": problem, "draw": draw, **kwargs}
        taken = {name: value for name, value in offered.items() if name in self.accepts}
        before = _ambient_states()
        values = self._values(completions, taken, problem)
        drawn_from = _changed(before, _ambient_states())
        if drawn_from:
            self._warn(f"draws from {drawn_from}")
        if not self._called:
            self._called = True
            try:
                again = self._values(completions, taken, problem)
            except RewardError as error:
                self._warn(f"failed when called again on the same group: {error}")
            else:
                if again != values:
                    self._warn("gave two different answers for the same group")
        return values

    def _values(self, completions: Sequence[str], taken: Mapping[str, Any], problem: Problem) -> list[float]:
        try:
            returned = self.function(completions, **taken, **self.args)
        except (Exception, SystemExit) as error:  # whatever a user's code raises is the user's, with its line
            where = f"reward {self.name!r} on problem {problem.id!r} failed{_line_of(error, _file_of(self.function))}"
            raise RewardError(f"{where}: {_said(error)}") from error
        return checked(returned, len(completions), self.name, problem.id)

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            message = f"reward {self.name!r} is not reproducible: it {reason}; draw from `draw` instead"
            warnings.warn(message, NotReproducibleWarning, stacklevel=3)


def _ambient_states() -> dict[str, object]:
    """The states of the global generators, in a form that compares by value; torch only where it is loaded."""
    _, words, *rest = np.random.get_state()
    states: dict[str, object] = {
        "the global generator of random": random.getstate(),
        "the global generator of numpy.random": (np.asarray(words).tobytes(), *rest),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        states["the global generator of torch"] = torch.get_rng_state().numpy().tobytes()
    return states


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    return ", ".join(name for name, state in before.items() if after[name] != state)


def is_reference(name: str) -> bool:
    """Whether a reward's name refers to a user's file rather than to a built-in reward."""
    return name.endswith(".py") or ".py:" in name


def load_user_reward(reference: str, args: Mapping[str, Any], base: Path | None = None) -> tuple[UserReward, str]:
    """Return the function that `path/to/file.py:function` names, and the text of its file.

    Args:
        reference: the path (relative to `base`, or to the working directory) and the function.
        args: further keyword arguments for it.
        base: the directory of the specification that names the file.

    Raises:
        RewardError: the file is missing, is no Python, fails when it is run, lacks the function, or the function
            requires an argument that nobody supplies; the message names file and line.
        SpecError: `args` holds something that the function does not take.
    """
    file, _, function_name = reference.rpartition(":")
    if not file or not function_name.isidentifier():
        raise RewardError(f"reward {reference!r}: a reward of your own is written path/to/file.py:function")
    path = Path(file) if base is None else base / file
    source = _read(path)
    module = _run(path, source)
    function = getattr(module, function_name, None)
    if function is None:
        own = [name for name, value in vars(module).items() if _is_own_function(value, module)]
        raise RewardError(f"{path}: no function {function_name!r}; it defines {', '.join(own) or 'no function'}")
    if not callable(function) or inspect.isclass(function) or inspect.iscoroutinefunction(function):
        raise RewardError(f"{path}: {function_name!r} is not a plain function")
    accepts = _accepts(function, args, f"{path}{_definition_line(function)}: {function_name}")
    return UserReward(function, function_name, accepts, dict(args)), source


def _read(path: Path) -> str:
    try:
        return importlib.util.decode_source(path.read_bytes())
    except OSError as error:
        raise RewardError(f"{path}: the reward's file cannot be read: {error.strerror}") from error
    except (SyntaxError, UnicodeDecodeError) as error:
        raise RewardError(f"{path}: not a Python file in the encoding it claims: {_said(error)}") from error


def _run(path: Path, source: str) -> ModuleType:
    """Run the file as a module of a name that nothing else has, and no stale bytecode either."""
    try:
        code = compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise RewardError(f"{path}:{error.lineno}: syntax error: {error.msg}") from error
    except ValueError as error:  # a null character
        raise RewardError(f"{path}: not a Python file: {error}") from error
    identity = hashlib.sha256(f"{path.resolve()}\n{source}".encode()).hexdigest()[:16]
    module = ModuleType(f"spurious_user_reward_{identity}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickle look their module up by name
    try:
        exec(code, vars(module))
    except (Exception, SystemExit) as error:  # the file's own top level may raise anything
        del sys.modules[module.__name__]
        raise RewardError(f"the reward's file failed{_line_of(error, str(path))}: {_said(error)}") from error
    return module


def _is_own_function(value: object, module: ModuleType) -> bool:
    return inspect.isfunction(value) and value.__module__ == module.__name__ and not value.__name__.startswith("_")


def _accepts(function: Callable[..., object], args: Mapping[str, Any], where: str) -> frozenset[str]:
    """Return which offered arguments the function takes, or say which of its parameters nobody can supply."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in _BY_POSITION or parameters[0].name in OFFERED:
        raise RewardError(f"{where} must take the completions as its first argument, by position")
    first, rest = parameters[0].name, parameters[1:]
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in rest)
    named = {parameter.name for parameter in rest if parameter.kind in _BY_NAME}
    for name in args:
        if name in OFFERED or name == first or (name not in named and not takes_any):
            own = ", ".join(sorted(named - set(OFFERED))) or "none"
            raise SpecError(f"{where} takes no argument {name!r} from args; it takes {own}")
    suppliable = named & {*OFFERED, *args}
    for parameter in rest:
        required = parameter.default is inspect.Parameter.empty and parameter.kind not in _ANY_NUMBER
        if required and parameter.name not in suppliable:
            raise RewardError(f"{where} requires {parameter.name!r}; there are only {', '.join(OFFERED)} and args")
    return frozenset(OFFERED) if takes_any else frozenset(OFFERED) & named


def _code_of(function: Callable[..., object]) -> CodeType | None:
    return getattr(inspect.unwrap(function), "__code__", None)


def _definition_line(function: Callable[..., object]) -> str:
    code = _code_of(function)
    return f":{code.co_firstlineno}" if code is not None else ""


def _file_of(function: Callable[..., object]) -> str:
    code = _code_of(function)
    return code.co_filename if code is not None else ""


def _line_of(error: BaseException, file: str) -> str:
    """` at file:line`: the innermost line of the user's file that the error passed through, if it did."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" at {file}:{lines[-1]}" if lines else f" in {file}" if file else ""


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
