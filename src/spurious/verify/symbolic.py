"""The step that needs a computer algebra system; it runs only inside the killable workers of `pool`.

math-verify parses and compares; what it calls equal is confirmed numerically, because it rounds to six decimals.
"""

import re
import resource
import signal
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from spurious.types import Status
from spurious.verify.compare import exactly, identically, same
from spurious.verify.exact import decimals, rational, rounds_to
from spurious.verify.ladder import Step
from spurious.verify.limits import TooLarge, too_complex
from spurious.verify.normalize import normalize
from spurious.verify.numeric import POINTS
from spurious.verify.structure import Node, read

if TYPE_CHECKING:
    import sympy

Job = Literal["compare", "math_verify", "parse"]
"""`compare`: the ladder with its symbolic step. `math_verify`: math-verify alone. `parse`: is a gold readable."""

_DIGITS = 60
"""Decimal digits of a numerical comparison; agreement on half of them is equality."""
_MARKED = re.compile(r"\\[A-Za-z]+|\\.|([A-Z]|[a-z](?='))('*)(?:_\{(\d{1,3})\})?")


class Unparsable(Exception):
    """An expression that math-verify does not understand."""


def prepare(memory: int) -> None:
    """Limit a fresh worker's address space to `memory` bytes."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the pool's own handler waits for a C call to return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def run(
    job: Job, items: Sequence[tuple[str, str]], steps: tuple[Step, ...], deadline: float, budget: float
) -> list[Status]:
    """The statuses of the first items, as many as fit into `budget` seconds, one at least.

    An item that takes `deadline` seconds of CPU ends the process by SIGPROF, wherever it computes.
    """
    start, statuses = time.monotonic(), []
    for gold, answer in items:
        signal.setitimer(signal.ITIMER_PROF, deadline)
        statuses.append(_status(job, gold, answer, steps))
        signal.setitimer(signal.ITIMER_PROF, 0)
        if time.monotonic() - start > budget:
            break
    return statuses


def _status(job: Job, gold: str, answer: str, steps: tuple[Step, ...]) -> Status:
    try:
        if job == "parse":
            _parse_all(read(normalize(gold)))
            return "correct"
        if job == "math_verify":
            return _math_verify_alone(gold, answer)
        return "correct" if same(normalize(gold), normalize(answer), _leaf(steps)) else "wrong"
    except Unparsable:
        return "unparsable"
    except (TooLarge, MemoryError, RecursionError):
        return "limit"


def _leaf(steps: tuple[Step, ...]) -> Any:
    def leaf(gold: str, answer: str) -> bool:
        if "string" in steps and identically(gold, answer):
            return True
        if "exact" in steps and (verdict := exactly(gold, answer)) is not None:
            return verdict
        return same_expression(gold, answer)

    return leaf


def _math_verify_alone(gold: str, answer: str) -> Status:
    """math-verify's own parsing and comparison of both answers, boxed, with its own defaults."""
    from math_verify import LatexExtractionConfig, verify
    from math_verify import parse as math_verify_parse

    config = [LatexExtractionConfig(boxed_match_priority=0)]
    true, given = (
        math_verify_parse(rf"\boxed{{{text}}}", config, parsing_timeout=None) for text in (gold, answer)
    )  # fmt: skip
    if not true or not given:
        return "unparsable"
    return "correct" if verify(true, given, timeout_seconds=None) else "wrong"


def _parse_all(node: Node) -> None:
    """Parse every expression a gold is made of, as far as exact arithmetic does not read it."""
    if node.kind == "value" and rational(node.text) is None:
        if too_complex(node.text):
            raise TooLarge
        parse(node.text)
    for item in node.items:
        _parse_all(item)


def parse(text: str) -> Any:
    """A normalized expression as sympy reads it.

    Raises:
        Unparsable: math-verify's parser does not understand it, whatever the reason.
    """
    from math_verify.parser import parse_latex_cached

    spellings = dict.fromkeys([_case_kept(text), text])
    for spelling in spellings:
        try:
            expression = parse_latex_cached(spelling)
        except (MemoryError, RecursionError):
            raise
        except Exception:  # the parser raises bare Exception, and anything sympy raises; what it means is said below
            continue
        if expression is not None:
            return expression
    raise Unparsable(text)


def _case_kept(text: str) -> str:
    """`text` with capital and primed variables marked: math-verify's grammar folds R, R' and r into one symbol."""

    def marked(match: re.Match[str]) -> str:
        letter, primes, subscript = match.groups()
        if letter is None:
            return match.group()
        return f"{letter.lower()}_{{{9 if letter.isupper() else 8}{len(primes)}{subscript or ''}}}"

    return _MARKED.sub(marked, text)


def same_expression(gold: str, answer: str) -> bool:
    """Whether two normalized expressions are equal: numerically where they have values, else as math-verify says."""
    from math_verify import verify
    from sympy import Expr

    one, other = parse(gold), parse(answer)
    if isinstance(one, Expr) and isinstance(other, Expr):
        verdict = _same_values(_exact_atoms(one), _exact_atoms(other), gold, answer)
        if verdict is not None:
            return verdict
    return bool(verify(one, other, timeout_seconds=None, raise_on_error=True))


def _exact_atoms(expression: "sympy.Expr") -> "sympy.Expr":
    """The expression with its decimals as rationals, and the letters e and i as the constants they name."""
    from sympy import E, Float, I, Rational

    exact: dict[Any, Any] = {number: Rational(str(number)) for number in expression.atoms(Float)}
    exact |= {symbol: {"e": E, "i": I}[symbol.name] for symbol in expression.free_symbols if symbol.name in ("e", "i")}
    return expression.xreplace(exact)


def _same_values(one: "sympy.Expr", other: "sympy.Expr", gold: str, answer: str) -> bool | None:
    """Whether two expressions have the same value at every point of `POINTS`; None where they have no value there."""
    from sympy import Rational

    symbols = one.free_symbols | other.free_symbols
    names = sorted({symbol.name for symbol in symbols})
    if not names:
        first, second = _number(one), _number(other)
        if first is None or second is None:
            return None
        return _close(first, second) or _rounds(first, answer) or _rounds(second, gold)
    verdicts = []
    for point in POINTS:
        named = {name: Rational(point[i % len(point)]) + i // len(point) for i, name in enumerate(names)}
        values = {symbol: named[symbol.name] for symbol in symbols}
        first, second = _number(one.xreplace(values)), _number(other.xreplace(values))
        if first is not None and second is not None:
            verdicts.append(_close(first, second))
    return all(verdicts) if len(verdicts) > 1 else None


def _number(expression: "sympy.Expr") -> Any:
    """The value to `_DIGITS` digits, or None for what is undefined or infinite there."""
    value = expression.evalf(_DIGITS, maxn=4 * _DIGITS)
    return value if value.is_number and value.is_finite and value.is_comparable | value.is_complex else None


def _close(one: Any, other: Any) -> bool:
    """Whether two values agree to half of their digits, or are both zero as far as these tell."""
    size = max(abs(one), abs(other))
    return bool(size < 10.0**-_DIGITS or abs(one - other) < size * 10.0 ** (-_DIGITS // 2))


def _rounds(value: Any, decimal: str) -> bool:
    """Whether a plain decimal of six digits and more is this irrational value, rounded or cut."""
    from sympy import Rational

    if decimals(decimal) is None or not value.is_real:
        return False
    exact = Rational(value)
    return rounds_to(Fraction(int(exact.p), int(exact.q)), decimal)
