"""Detectors on text: which behavior a completion shows. Plain functions of one text, linear in its length.

The text is a model's and hostile: nothing here backtracks, parses recursively or evaluates.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from spurious.verify import extract

LOOP_TIMES = 10
"""How often a unit occurs before a text counts as looping [facts of the paper's no-repetition reward]."""
LOOP_CHARACTERS = 10
"""The shortest unit whose tenfold occurrence counts; shorter units count once they fill as much text."""
LOOP_LONGEST_UNIT = 256
"""The longest unit looked for back to back, in characters."""

_STRIDE = 40  # a loop of 100 characters and its last unit leave room for a whole gram after the first position
_GRAM = 16

_OUTPUT_LANGUAGES = frozenset({"output", "text", "plaintext", "console", "stdout"})
_SELF_CHECK = re.compile(
    r"\b(?:let(?:'s| me| us) (?:verify|check|double[- ]check|confirm)|(?:verify|check|double[- ]check)(?:ing)? "
    r"(?:this|that|the|our|my|again)|to (?:verify|double[- ]check)|sanity check)\b",
    re.IGNORECASE,
)
_BACKTRACK = re.compile(
    r"\b(?:wait|hmm+|actually|on second thought|let me try (?:again|another)|let's try (?:again|another)|"
    r"that(?:'s| is) (?:wrong|not right|incorrect)|i made (?:a mistake|an error)|alternatively)\b",
    re.IGNORECASE,
)
_BOX_OPENING = re.compile(r"\\(?:boxed|fbox)\s{0,8}\{")
_STEP = re.compile(
    r"^[ \t]{0,8}(?:[*#]{1,6}[ \t]{0,4})?(?:step[ \t]{1,4})?\d{1,3}[.:)](?=[\s*])", re.IGNORECASE | re.MULTILINE
)
_LITERAL = r"(?:-?\d{1,32}(?:\.\d{1,32})?|'[^'\n]{0,64}'|\"[^\"\n]{0,64}\"|\[[^\[\]\n]{0,64}\])"
_NUMBERED = r"[ \t]{0,16}(?:\d{1,4}[:.)]?[ \t]{1,4})?"
_VALUE = re.compile(
    rf"^{_NUMBERED}([A-Za-z_]\w{{0,31}})[ \t]{{0,4}}=[ \t]{{0,4}}{_LITERAL}[ \t]{{0,16}}$", re.MULTILINE
)
_NAME = r"[A-Z][a-z]{1,24}"
_NAMES = re.compile(rf"(?<![A-Za-z]){_NAME}(?:, {_NAME})+(?![A-Za-z])")
_LETTER = r"['\"]?[A-Za-z]['\"]?"
_SPELLED = re.compile(rf"(?<![A-Za-z'\"]){_LETTER}(?:(?:,? | ?- ?|,){_LETTER}){{3,}}(?![A-Za-z])")
_SENTENCE_END = re.compile(r"[\n\r]+|(?<=[.!?。！？])\s+")
_OTHER_SCRIPTS = re.compile(
    "[\u0400-\u052f\u0530-\u058f\u0590-\u05ff\u0600-\u06ff\u0900-\u0dff\u0e00-\u0eff\u10a0-\u10ff"
    "\u1100-\u11ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)


@dataclass(frozen=True, slots=True)
class _Block:
    """A fenced block: the word after the fence, and whether a closing fence followed."""

    language: str
    closed: bool


def _fenced_blocks(text: str) -> list[_Block]:
    """The blocks fenced with three backticks, in order; the last one may still be open."""
    blocks: list[_Block] = []
    language: str | None = None
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped.startswith("```"):
            continue
        if language is None:
            language = stripped.strip("`").strip().lower()
        else:
            blocks.append(_Block(language, closed=True))
            language = None
    if language is not None:
        blocks.append(_Block(language, closed=False))
    return blocks


def code_reasoning(text: str) -> bool:
    """Whether the text says 'python' anywhere, in any case: the paper's code frequency (section 4.2)."""
    return "python" in text.lower()


def code_block(text: str) -> bool:
    """Whether a fenced block opens that is not marked as program output, closed or cut short."""
    return any(block.language not in _OUTPUT_LANGUAGES for block in _fenced_blocks(text))


def program_output(text: str) -> bool:
    """Whether a fenced block marked as output (or unmarked) follows a closed block of code: results 'as printed'."""
    after_code = False
    for block in _fenced_blocks(text):
        if after_code and (block.language in _OUTPUT_LANGUAGES or not block.language):
            return True
        after_code = after_code or (block.closed and block.language not in _OUTPUT_LANGUAGES)
    return False


def boxed(text: str) -> bool:
    r"""Whether the answer stands in a balanced, non-empty `\boxed{}`: strict extraction finds one."""
    return bool(extract(text, "strict"))


def box_count(text: str) -> float:
    r"""How many `\boxed{` or `\fbox{` the text opens, whether they close and hold something or not."""
    return float(sum(1 for _ in _BOX_OPENING.finditer(text)))


def steps(text: str) -> float:
    """How many lines begin with a number and a mark: `1.`, `Step 2:`, `3)`."""
    return float(sum(1 for _ in _STEP.finditer(text)))


def self_check(text: str) -> bool:
    """Whether the text says that it verifies or checks its own work."""
    return _SELF_CHECK.search(text) is not None


def backtracking(text: str) -> bool:
    """Whether the text takes a thought back: 'wait', 'actually', 'on second thought'."""
    return _BACKTRACK.search(text) is not None


def trace(text: str) -> bool:
    """Whether the text follows a value: two lines or more, numbered or not, say `name = literal` of one name."""
    counts = Counter(match.group(1) for match in _VALUE.finditer(text))
    return any(count >= 2 for count in counts.values())


def deduction(text: str) -> bool:
    """Whether the text builds an order: a list of names (`Ann, Bob`), and right after it one with the same and more."""
    last: frozenset[str] = frozenset()
    for match in _NAMES.finditer(text):
        names = frozenset(match.group().split(", "))
        if last and last < names:
            return True
        last = names
    return False


def spelled_out(text: str) -> bool:
    """Whether four or more single letters stand in a row, as when a word is spelled: `d-e-s-k`, `d, e, s, k`."""
    return _SPELLED.search(text) is not None


def repetition(text: str) -> bool:
    """Whether the text is stuck in a loop, back to back or with something in between.

    - Back to back: a unit of 1 to 256 characters occurs at least 10 times in a row and fills at least 100 characters.
      For units of 10 characters and more that is the paper's rule; shorter units (a digit, `ha `) need more repeats.
    - In between: a line or sentence of at least 10 characters, without its outer spaces, occurs at least 10 times.

    Time is linear in the text: at most 256 comparisons a character, and far fewer in text that does not loop.
    """
    return _recurring_sentence(text) or _contiguous_loop(text)


def _recurring_sentence(text: str) -> bool:
    counts: Counter[str] = Counter()
    for piece in _SENTENCE_END.split(text):
        sentence = piece.strip()
        if len(sentence) >= LOOP_CHARACTERS:
            counts[sentence] += 1
            if counts[sentence] >= LOOP_TIMES:
                return True
    return False


def _contiguous_loop(text: str) -> bool:
    """Whether some period up to 256 holds over 10 units and 100 characters: text[i] == text[i + period] all along.

    Such a stretch covers one of the positions looked at; what stands there recurs a period later and goes on recurring.
    Few periods pass that test in ordinary text, and each is measured over the whole text once.
    """
    characters: np.ndarray | None = None
    measured: set[int] = set()
    for start in range(0, len(text), _STRIDE):
        gram, end = text[start : start + _GRAM], start + LOOP_LONGEST_UNIT + _GRAM
        again = text.find(gram, start + 1, end)
        while again >= 0:
            period = again - start
            length = max(LOOP_TIMES * period, LOOP_TIMES * LOOP_CHARACTERS) - period
            sure = length - _STRIDE
            if period not in measured and text[start : start + sure] == text[again : again + sure]:
                measured.add(period)
                if characters is None:
                    characters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
                if _has_run(characters[period:] == characters[:-period], length):
                    return True
            again = text.find(gram, again + 1, end)
    return False


def _has_run(matches: np.ndarray, length: int) -> bool:
    """Whether `length` consecutive values are true; a run that long covers a whole aligned block of half its length."""
    block = length // 2
    whole = len(matches) // block * block
    if not matches[:whole].reshape(-1, block).all(axis=1).any():
        return False
    ends = np.flatnonzero(np.concatenate(([True], ~matches, [True])))
    return bool((np.diff(ends) > length).any())


def non_ascii(text: str) -> float:
    """The share of characters outside ASCII; 0 for an empty text."""
    return sum(1 for character in text if character > "\x7f") / len(text) if text else 0.0


def other_scripts(text: str) -> float:
    """The share of characters of scripts that are neither Latin nor Greek nor symbols; 0 for an empty text."""
    return sum(1 for _ in _OTHER_SCRIPTS.finditer(text)) / len(text) if text else 0.0


def characters(text: str) -> float:
    """The length of the text in characters."""
    return float(len(text))


BEHAVIORS: dict[str, Callable[[str], bool | float]] = {
    detector.__name__: detector
    for detector in (
        code_reasoning,
        code_block,
        program_output,
        boxed,
        box_count,
        steps,
        self_check,
        backtracking,
        trace,
        deduction,
        spelled_out,
        repetition,
        non_ascii,
        other_scripts,
        characters,
    )
}

PRESENT = tuple(name for name, detector in BEHAVIORS.items() if isinstance(detector(""), bool))
"""The behaviors that are there or not; the others are counts, shares and lengths."""


REMEMBERED = 4000
"""Characters of the longest text that is measured only once: completions of one problem often are the same."""


def measure(text: str) -> dict[str, bool | float]:
    """Return every behavior of one text, by name: a bool for present or absent, a float for a count or a share."""
    return dict(_remembered(text) if len(text) <= REMEMBERED else _measured(text))


def _measured(text: str) -> dict[str, bool | float]:
    return {name: detector(text) for name, detector in BEHAVIORS.items()}


_remembered = lru_cache(maxsize=4096)(_measured)
