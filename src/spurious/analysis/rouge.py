"""ROUGE-L (Lin 2004): how much of a text comes back in the same order, by the longest common subsequence."""

import re
from collections.abc import Hashable, Sequence

_UNIT = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")


def units(text: str) -> list[str]:
    """What is compared: words in lower case, numbers, and every other mark by itself, since marks are mathematics."""
    return _UNIT.findall(text.lower())


def longest_common_subsequence(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """Its length, in len(a) * len(b) steps and memory for the shorter of the two."""
    long, short = (a, b) if len(a) >= len(b) else (b, a)
    row = [0] * (len(short) + 1)
    for item in long:
        corner = 0
        for j, other in enumerate(short, start=1):
            above = row[j]
            row[j] = corner + 1 if item == other else max(above, row[j - 1])
            corner = above
    return row[-1]


def rouge_l(reference: str, candidate: str) -> float:
    """The F measure (beta 1): 2 LCS / (units of both); 1 where both are empty, 0 where one is."""
    true, given = units(reference), units(candidate)
    if not true and not given:
        return 1.0
    return 2 * longest_common_subsequence(true, given) / (len(true) + len(given))
