"""Every random draw of the system: a stable key, and the uniforms made from it.

A draw belongs to what it decides, `key(seed, purpose, step, problem id, ...)`, never to a stream somebody else has read
from. So a run resumed at step 3 equals one that never stopped, and two arms with one seed see the same noise.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

KeyPart = str | int


def key(*parts: KeyPart) -> int:
    """A 64-bit integer that depends on the parts, their types and their order, and on nothing else.

    Parts are length-prefixed, so `key("ab", "c") != key("a", "bc")`, and typed, so `key(1) != key("1")`.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, str | int):
            raise TypeError(f"a key is made of strings and integers, not {type(part).__name__}")
        tag = b"s" if isinstance(part, str) else b"i"
        data = str(part).encode("utf-8", "surrogatepass")
        digest.update(tag + len(data).to_bytes(8, "little") + data)
    return int.from_bytes(digest.digest()[:8], "little")


def uniforms(seed: int, n: int) -> NDArray[np.float64]:
    """(n,) doubles in [0, 1), the first n of the stream of `seed`; a prefix of any longer request.

    Philox counter-based bits, whose raw stream NumPy promises never to change; the 53 high bits make the double.
    """
    raw = np.random.Philox(key=seed).random_raw(n)
    return np.asarray((raw >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def permutation(seed: int, n: int) -> list[int]:
    """A uniformly random order of range(n): the ranks of n uniforms."""
    return [int(i) for i in np.argsort(uniforms(seed, n), kind="stable")]


@dataclass(frozen=True, slots=True)
class Draw:
    """The noise a reward may use for one group: the same for the same (seed, step, problem, copy), in every arm.

    A coin keyed by the text alone would be a learnable preference, another arm; this one is fresh at every step.
    """

    seed: int
    step: int
    problem_id: str
    copy: int = 0
    part: tuple[int, ...] = ()
    """Which part of a combined reward draws; () for a reward that stands alone."""

    def of_part(self, index: int) -> "Draw":
        """The noise of the index-th reward inside a combination: parts draw independently of each other.

        The first part sees the very noise it would see alone, so that an arm and its compound are paired.
        """
        return replace(self, part=(*self.part, index))

    def key(self, purpose: str) -> int:
        """The key of this group's draws for one purpose."""
        part = list(self.part)
        while part and part[-1] == 0:
            part.pop()
        return key(self.seed, "reward", purpose, self.step, self.problem_id, self.copy, *part)

    def uniforms(self, n: int, purpose: str = "coin") -> list[float]:
        """Return n doubles in [0, 1), the i-th for the i-th completion of the group."""
        return [float(u) for u in uniforms(self.key(purpose), n)]

    def permutation(self, n: int, purpose: str = "order") -> list[int]:
        """A random order of the group's n completions."""
        return permutation(self.key(purpose), n)
