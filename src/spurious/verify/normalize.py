"""One spelling for what LaTeX lets people spell in many ways. Every step is linear in the answer's length."""

import re
from collections.abc import Iterator

from spurious.verify.characters import to_latex
from spurious.verify.limits import MAX_ANSWER, MAX_DEPTH, TooLarge, too_deep

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)

_RENAMED = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\dbinom": r"\binom", r"\tbinom": r"\binom",
    r"\leq": r"\le", r"\leqslant": r"\le", r"\geq": r"\ge", r"\geqslant": r"\ge", r"\neq": r"\ne", r"\lt": "<",
    r"\gt": ">", r"\lbrace": r"\{", r"\rbrace": r"\}", r"\lbrack": "[", r"\rbrack": "]", r"\lparen": "(",
    r"\rparen": ")", r"\langle": "(", r"\rangle": ")", r"\%": "%", r"\colon": ":", r"\infin": r"\infty", r"\div": "/",
    r"\land": r" and ", r"\wedge": r" and ", r"\lor": r" or ", r"\vee": r" or ", r"\degree": r"^\circ",
    r"\varnothing": r"\emptyset", r"\ast": "*", r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\imath": "i",
    r"\bmod": r"\pmod", r"\mod": r"\pmod", r"\#": "#", r"\&": "&", r"\_": "_", r"\-": "",
}  # fmt: skip
_SPACES = frozenset(
    [r"\,", r"\;", r"\:", r"\ ", r"\>", "~", r"\quad", r"\qquad", r"\thinspace", r"\space", r"\enspace"]
)
_SIZES = frozenset(rf"\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m"))
_DROPPED = _SIZES | {
    *(r"\!", r"\$", "$", r"\(", r"\)", r"\[", r"\]", r"\left", r"\right", r"\middle", r"\displaystyle", r"\textstyle"),
    *(r"\scriptstyle", r"\limits", r"\nolimits", r"\rm", r"\bf", r"\it", r"\sf", r"\hfill", r"\strut", r"\mathstrut"),
}
_WRAPPERS = {
    *(r"\text", r"\textbf", r"\textit", r"\textrm", r"\textsf", r"\textsc", r"\textnormal", r"\mathrm", r"\mathbf"),
    *(r"\mathit", r"\mathsf", r"\mbox", r"\hbox", r"\emph", r"\operatorname", r"\mathnormal"),
}
_TRANSPARENT = frozenset(
    [r"\boxed", r"\fbox", r"\bm", r"\boldsymbol", r"\underline", r"\mathbin", r"\mathop", r"\displaylines"]
)
_FUNCTIONS = {
    *(
        "ln",
        "log",
        "exp",
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
    ),
    *("gcd", "max", "min", "det"),
}
_ARGUMENTS = {r"\frac": 2, r"\binom": 2, r"\sqrt": 1, "^": 1, "_": 1}
_ENDS = ' .,;:!?\\*`"'
_STARTS = ' .,;:*`"'
_MARK = re.compile(r" ?\{ ?([,.:]) ?\} ?")
_PLAIN_NAME = re.compile(
    r"(?<![\\A-Za-z{])((?:sqrt|sin|cos|tan|cot|sec|csc|ln|log|exp)(?= ?[(^])|pi(?![A-Za-z])|infty(?![A-Za-z]))"
)
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z]{2})")
_BRACKET_SPACE = re.compile(r"(?<=[(\[{]) | (?=[)\]}])")
_FREE_SPACE = re.compile(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])|(?<=[A-Za-z]) (?=[0-9])|(?<=[0-9]) (?=[A-Za-z])")


def normalize(answer: str) -> str:
    r"""The answer in the spelling that every later step reads.

    Unicode becomes LaTeX; math delimiters, sizes, spacing and currency signs go; fraction, root, exponent and
    subscript arguments get braces; synonyms get one name; `\text`-like commands become `\text{...}`, or nothing
    around single letters, numbers and separators; single spaces stay where they separate words or digits.

    Raises:
        TooLarge: it has `limits.MAX_ANSWER` characters or nests deeper than `limits.MAX_DEPTH`.
    """
    if len(answer) >= MAX_ANSWER:
        raise TooLarge
    text = to_latex(answer).strip(" *").replace("**", "^")
    if too_deep(text):
        raise TooLarge
    text = _PLAIN_NAME.sub(r"\\\1 ", _MARK.sub(r"\1", text))
    if r"\begin" not in text:
        text = _DOUBLED.sub(r"\\", text)
    text = "".join(_respell(_tokens(text)))
    text = text.replace("!=", r"\ne ").replace("<=", r"\le ").replace(">=", r"\ge ").replace("==", "=")
    text = tidy(_braced(text))
    while text.startswith("{") and _closing(text, 0) == len(text) - 1:
        text = tidy(text[1:-1])
    return text


def tidy(text: str) -> str:
    """`text` with single spaces, none beside brackets, without the punctuation that ends or wraps an answer."""
    text = _BRACKET_SPACE.sub("", " ".join(text.split()))
    end = text.rstrip(_ENDS)
    if text[len(end) :].startswith("!"):
        end += "!"
    start = end.lstrip(_STARTS)
    if start[:1].isdigit() and end[: len(end) - len(start)].endswith("."):
        start = "." + start
    return start.removeprefix("=").lstrip()


def key(normalized: str) -> str:
    """The normalized answer without the spaces that mean nothing: those not between two letters or two digits."""
    return _FREE_SPACE.sub("", normalized) if " " in normalized else normalized


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _respell(tokens: list[str]) -> Iterator[str]:
    """Rename, drop and unwrap token by token."""
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token in _DROPPED:
            if token == r"\!" and tokens[position : position + 1] == [" "]:
                position += 1
            if token in (r"\left", r"\right") and tokens[position : position + 1] == ["."]:
                position += 1
        elif token in _SPACES or token.isspace():
            yield " "
        elif token in _WRAPPERS:
            content, position = _argument(tokens, position)
            yield _unwrapped(content)
        elif token in _TRANSPARENT:
            content, position = _argument(tokens, position)
            yield from _respell(_tokens(content))
        else:
            yield _RENAMED.get(token, token)
            if token.startswith("\\") and token[1:].isalpha() and tokens[position : position + 1] not in (["{"], ["["]):
                yield " "


def _unwrapped(content: str) -> str:
    words = content.strip(" .,;:")
    if words.lower() in ("and", "or"):
        return f" {words.lower()} "
    if words in _FUNCTIONS:
        return rf"\{words} "
    if re.fullmatch(r"[ ~]+[a-z]", content):
        return rf" \text{{{content.strip(' ~')}}}"
    if not re.search(r"[A-Za-z]{2}", content) or re.match(r"\s*-?\d", content):
        return normalize(content) if "\\" in content else content
    return rf" \text{{{' '.join(content.split())}}}"


def _argument(tokens: list[str], position: int, brackets: str = "{}") -> tuple[str, int]:
    """The text of the argument that starts at `position`, and the position after it."""
    while position < len(tokens) and tokens[position].isspace():
        position += 1
    if position >= len(tokens):
        return "", position
    if tokens[position] != brackets[0]:
        return tokens[position], position + 1
    depth, start = 0, position + 1
    while position < len(tokens):
        depth += {brackets[0]: 1, brackets[1]: -1}.get(tokens[position], 0)
        position += 1
        if depth == 0:
            return "".join(tokens[start : position - 1]), position
    return "".join(tokens[start:]), position


def _braced(text: str) -> str:
    r"""`text` with braces around every argument of `\frac`, `\binom`, `\sqrt`, `^` and `_`."""
    tokens = _tokens(text)
    out: list[str] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        out.append(token)
        after = position + (position < len(tokens) and tokens[position].isspace())
        if token == r"\sqrt" and tokens[after : after + 1] == ["["]:
            index, position = _argument(tokens, after, "[]")
            out.append(f"[{_braced(index)}]")
        for _ in range(_ARGUMENTS.get(token, 0)):
            content, position = _bare_argument(token, tokens, position)
            out.append(f"{{{tidy_spaces(_braced(content))}}}")
    return "".join(out)


def _bare_argument(command: str, tokens: list[str], position: int, depth: int = 0) -> tuple[str, int]:
    r"""The argument of a command, also without braces: `\sqrt12`, `\sqrt(2)`, `x^-1`, `x^(2)`, `\sqrt\frac12`."""
    if depth > MAX_DEPTH:
        raise TooLarge
    while position < len(tokens) and tokens[position].isspace():
        position += 1
    if position >= len(tokens) or tokens[position] == "{":
        return _argument(tokens, position)
    token = tokens[position]
    if token == "(" and command != r"\frac":
        return _argument(tokens, position, "()")
    if token in _ARGUMENTS and token not in ("^", "_"):
        end = position + 1
        for _ in range(_ARGUMENTS[token]):
            _, end = _bare_argument(token, tokens, end, depth + 1)
        return "".join(tokens[position:end]), end
    end = position + 1
    if token == "-" and command == "^":
        end += 1
    while command in (r"\sqrt", "_") and token.isdigit() and end < len(tokens) and tokens[end].isdigit():
        end += 1
    return "".join(tokens[position:end]), end


def tidy_spaces(text: str) -> str:
    """`text` with single spaces and none at the ends."""
    return " ".join(text.split())


def _closing(text: str, start: int) -> int:
    """The index of the brace that closes the one at `start`, or -1."""
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        if match.group() in "{}":
            depth += 1 if match.group() == "{" else -1
            if depth == 0:
                return match.start()
    return -1
