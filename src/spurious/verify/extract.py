"""Which part of a completion is its answer. The rules, one by one, are written in docs/grading.md.

Every scan is linear in the length of the text, whatever the text is.
"""

import re
from collections import deque

from spurious.types import Extraction
from spurious.verify.characters import scalar_text
from spurious.verify.limits import MAX_ANSWER, MAX_READ, looks_like_code

_BOX = re.compile(r"(\\{1,2}(?:boxed|fbox)\s{0,8}\{)|\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"(oxed\s{0,8}\{)|\\.|[{}]", re.DOTALL)
"""Braces, and in the group those that open a box."""
_INK = re.compile(r"\S")
_MAX_JOINED = 16
"""Boxes that may be one list."""
_JOINT = re.compile(
    r"[\s$]*(?:\\[)\]]|\\q?quad|\\[,; ])*[\s$]*(?:,|;|(?:,\s?)?(?:and|or)\b|(?:,\s?)?\\text\{[\s,]*(?:and|or)\s*\})"
    r"[\s$]*(?:\\[(\[]|\\q?quad|\\[,; ])*[\s$]*(?:[A-Za-z](?:_\{?\w\}?)?\s?=\s?)?\\(?:boxed|fbox)\s*\{"
)
_TURN = re.compile(
    r"<\|(?:im_end|im_start|endoftext|eot_id|end_of_text|user|end)\|>|</s>|\n(?:Human|User|Question|Problem):"
)
_TAIL = 4_000
"""Characters at the end of a text that the lenient fallbacks look at."""
_ANSWER_IS = re.compile(
    r"(?:answer|réponse|respuesta|antwort|答案)(?: is| are| est| es| ist| è| é|是|为)?[:：]?\**[ \t]*(?:=[ \t]*)?",
    re.IGNORECASE,
)
_ANNOUNCED = re.compile(r" is| are| est| es| ist| è| é|是|为|[:：=]", re.IGNORECASE)
_MATH = re.compile(
    r"\$\$((?:[^$\\]|\\.){1,600})\$\$|(?<!\\)\$((?:[^$\\\n]|\\.){1,600})\$|\\\(([^\n]{1,600}?)\\\)|\\\[(.{1,600}?)\\\]",
    re.DOTALL,
)
_NUMBER = re.compile(
    r"(?<![0-9A-Za-z_.,\\])(?:(?<![0-9A-Za-z)}])[-−+])?(?:[$€£] ?)?"
    r"(?:\d[\d,٬]*(?:[.٫]\d+)?|\.\d+)(?:/\d+)?(?:\\?%)?(?![A-Za-z_])"
)
_LAST_CHOICE = re.compile(r"(?:[\s:*(]|[^\x00-\x7f])([A-J])[)*.!。]{0,4}$")
_STANDALONE = re.compile(r"(?<![A-Za-z])[A-J](?=[,.;:)*]|\s*$)|^[(*]*[A-J](?![A-Za-z])")
_CHOICE = re.compile(r"\s*\(?([A-J])[).:。，,、](?![A-Za-z0-9])|\s*([A-J])(?=[^\x00-\x7f])")
_SENTENCE_END = re.compile(r"\.(?:\s|$)|\n|。|[!?](?=\s|$)")
_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}|[^\W\d_A-Za-z]{2,}")
_LATEX_TEXT = re.compile(r"\\[A-Za-z]+\s?(?:\{[^{}]{0,60}\})?")
_UNIT_WORDS = frozenset(
    ["and", "or", "percent", "percentage", "degrees", "sin", "cos", "tan", "log", "exp", "mod", "gcd"]
)


def extract(text: str, extraction: Extraction = "lenient") -> str | None:
    """The answer of a completion, at most `limits.MAX_ANSWER` characters of it, or None where there is none.

    `strict`: the last box. `lenient`: also `<answer>`, a bare expression, 'the answer is ...', the last mathematics or
    number. Lone surrogates come back as U+FFFD.
    """
    final = _final_part(text)
    if final is None:
        return None
    scope = scalar_text(final[-MAX_READ:])
    tagged = _tagged(scope)
    if tagged is not None:
        boxed, _ = _last_box(tagged, _BOX)
        if boxed:
            return boxed[:MAX_ANSWER]
        if extraction == "lenient" and tagged.strip():
            return tagged.strip()[:MAX_ANSWER]
    boxed, opened = _last_box(scope, _BOX)
    if boxed or extraction == "strict":
        return boxed[:MAX_ANSWER] if boxed else None
    if opened:
        return None
    return _fallback(scope)


def gold_answer(gold: str) -> str:
    """The answer inside a gold: its last box if it has one, else all of it."""
    if "boxed" not in gold and "fbox" not in gold:
        return gold
    boxed, _ = _last_box(gold, _BOX)
    return boxed or gold


def _final_part(text: str) -> str | None:
    """What stands after the thinking and before another turn; None while the thinking is not over."""
    _, closing, tail = text.rpartition("</think>")
    if not closing and "<think>" in text:
        return None
    scope = tail if closing else text
    turn = _TURN.search(scope, len(scope) - len(scope.lstrip()) + 1)
    return scope[: turn.start()] if turn else scope


def _tagged(scope: str) -> str | None:
    """What stands in the last `<answer>`; its closing tag may be the stop string, and be missing."""
    start = scope.rfind("<answer>")
    if start < 0:
        return None
    end = scope.find("</answer>", start)
    return scope[start + 8 : end if end >= 0 else None]


def _last_box(text: str, braces: re.Pattern[str]) -> tuple[str | None, bool]:
    """(what the last boxes hold, whether any box was opened). One pass with one stack.

    Empty boxes and boxes that never close hold nothing; boxes joined by nothing but 'and', 'or' or a comma are a list.
    """
    if "oxed" not in text and "fbox" not in text:
        return None, False
    stack: list[int] = []
    boxes: deque[tuple[int, int]] = deque(maxlen=_MAX_JOINED)
    opened = False
    for match in braces.finditer(text):
        token = match.group()
        if match.lastindex:
            opened = True
            stack.append(match.end())
        elif token == "{":
            stack.append(-1)
        elif token == "}" and stack:
            start = stack.pop()
            if start >= 0 and _INK.search(text, start, match.start()):
                while boxes and boxes[-1][0] > start:
                    boxes.pop()
                boxes.append((start, match.start()))
    return _joined(text, list(boxes)), opened


def _joined(text: str, boxes: list[tuple[int, int]]) -> str | None:
    """The content of the last box, and of those right before it as far as only a joint stands between."""
    if not boxes:
        return None
    parts = [text[slice(*boxes[-1])].strip()]
    for (_, end), (start, _) in zip(boxes[-2::-1], boxes[:0:-1], strict=True):
        if start - end > 100 or not _JOINT.fullmatch(text, end + 1, start):
            break
        parts.insert(0, text[slice(*boxes[len(boxes) - 1 - len(parts)])].strip())
    return ", ".join(dict.fromkeys(parts))


def _fallback(scope: str) -> str | None:
    """The lenient readings, in order: a broken box, a bare answer, an announced answer, the last mathematics."""
    bare = scope.strip()
    if not bare:
        return None
    tail = bare[-_TAIL:]
    broken, _ = _last_box(tail, _BARE_BOX)
    if broken:
        return broken[:MAX_ANSWER]
    if _is_bare(bare):
        return bare
    return _announced(tail) or _last_mathematics(tail) or _choice(bare)


def _is_bare(text: str) -> bool:
    """Whether the whole text is one answer, without prose around it."""
    if len(text) > 400 or "\n" in text or looks_like_code(text) or _CHOICE.match(text):
        return False
    return (text.strip("$").isalpha() and text.isascii()) or not _words(text)


def _words(text: str) -> int:
    """How many words stand outside of LaTeX commands, not counting those that units and lists are made of."""
    return sum(word.lower() not in _UNIT_WORDS for word in _PROSE.findall(_LATEX_TEXT.sub(" ", text)))


def _announced(tail: str) -> str | None:
    """What follows the last 'the answer is' or 'Answer:'."""
    announcements = (match for match in _ANSWER_IS.finditer(tail) if _ANNOUNCED.search(match.group()))
    for match in reversed(deque(announcements, maxlen=4)):
        rest = tail[match.end() :].lstrip()
        math = _MATH.match(rest)
        if math:
            return next(group for group in math.groups() if group).strip()
        end = _SENTENCE_END.search(rest)
        sentence = rest[: end.start()] if end else rest
        if sentence.strip() and (_is_bare(sentence.strip()) or looks_like_code(sentence)):
            return sentence.strip()
        first = _NUMBER.search(sentence) or _STANDALONE.search(sentence)
        if first:
            return (_first_mathematics(sentence) or first.group()).strip(" (*")
    return None


def _first_mathematics(sentence: str) -> str | None:
    math = _MATH.search(sentence)
    return next(group for group in math.groups() if group) if math else None


def _last_mathematics(tail: str) -> str | None:
    """The last formula or number, whichever ends later; none from a line that looks like code."""
    math = deque((match for match in _MATH.finditer(tail) if _words(match.group(match.lastindex or 0)) < 2), maxlen=1)
    number = deque(_NUMBER.finditer(tail, math[0].end() if math else 0), maxlen=1)
    last = number[0] if number else math[0] if math else None
    if last is None:
        return None
    line_start = tail.rfind("\n", 0, last.start()) + 1
    line_end = tail.find("\n", last.end())
    if looks_like_code(tail[line_start : line_end if line_end >= 0 else None]):
        return None
    return last.group().strip() if number else next(group for group in last.groups() if group).strip()


def _choice(bare: str) -> str | None:
    """The choice letter that a text without any mathematics starts or ends with."""
    if match := _CHOICE.match(bare):
        return match.group(1) or match.group(2)
    match = _LAST_CHOICE.search(bare[-16:])
    return match.group(1) if match else None
