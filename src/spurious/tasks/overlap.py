"""Near-copies: questions compared by their letters, digits and operators, and by the runs of 13 words they share."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

NGRAM = 13
"""Words in a run, as in the GPT-3 contamination study (Brown et al. 2020, appendix C)."""

_SPELLINGS = {r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cdot": "*", r"\times": "*", r"\leqslant": r"\le"}
_SPELLINGS |= {r"\geqslant": r"\ge", r"\leq": r"\le", r"\geq": r"\ge"}
_SPELLING = re.compile("|".join(re.escape(name) + "(?![a-z])" for name in _SPELLINGS))
_LAYOUT = re.compile(
    r"\\(?:left|right|bigg?|displaystyle|textstyle|q?quad|mathrm|mathbf|text|textbf|operatorname|mbox)(?![a-z])"
)
_IGNORED = re.compile(r"[^\w+\-*/^=<>|!%]|_")
_WORD = re.compile(r"[^\W\d_]+|\d+")


def normal(question: str) -> str:
    """The letters, digits and operators of a question in lower case, free of LaTeX layout; equal for near-copies."""
    text = _SPELLING.sub(lambda found: _SPELLINGS[found[0]], question.lower())
    return _IGNORED.sub("", _LAYOUT.sub("", text))


def ngrams(question: str) -> set[int]:
    """Hashes of the runs of 13 words and numbers of a question; empty where it has fewer."""
    words = _WORD.findall(question.lower())
    return {hash(tuple(words[i : i + NGRAM])) for i in range(len(words) - NGRAM + 1)}


def shared_runs(questions: Sequence[str], others: Sequence[str]) -> list[tuple[float, int] | None]:
    """For each question the largest share (0 to 1) of its runs of 13 words in one other question, and which that is.

    None where a question is too short to have such a run, or shares none.
    """
    if len(questions) <= len(others):
        shared = _count_shared(questions, others)
    else:
        flipped = _count_shared(others, questions)
        shared = Counter({(i, j): count for (j, i), count in flipped.items()})
    best: list[tuple[float, int] | None] = [None] * len(questions)
    sizes = {i: len(ngrams(questions[i])) for i, _ in shared}
    for (i, j), count in shared.items():
        share, held = count / sizes[i], best[i]
        if held is None or (-share, j) < (-held[0], held[1]):
            best[i] = (share, j)
    return best


def _count_shared(few: Sequence[str], many: Sequence[str]) -> Counter[tuple[int, int]]:
    """(index in few, index in many) -> number of runs they share; only the smaller side is held in memory."""
    holders: dict[int, list[int]] = defaultdict(list)
    for i, question in enumerate(few):
        for gram in ngrams(question):
            holders[gram].append(i)
    shared: Counter[tuple[int, int]] = Counter()
    for j, question in enumerate(many):
        for gram in ngrams(question):
            for i in holders.get(gram, ()):
                shared[i, j] += 1
    return shared
