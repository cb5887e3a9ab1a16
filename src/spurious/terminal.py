"""What people read on a terminal: never what a model, a file or a server wrote to steer it.

An escape sequence in a completion could move the cursor, rewrite what stands above, or set the window's title; a
bidirectional mark could show a name as another. Such characters are shown, not sent.
"""

import sys
import unicodedata
from typing import TextIO

_KEPT = "\n\t"
_LIVE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
"""Categories that are not text: controls, marks without a width, surrogates, private use, line separators."""


def visible(text: object) -> str:
    r"""`text` with everything that is neither printable nor a line end or tab as an escape: `\x1b[31m`, `\u202e`."""
    said = str(text)
    if said.isascii() and said.isprintable():
        return said
    return "".join(_shown(character) for character in said)


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _LIVE:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def say(text: object, *, file: TextIO | None = None, end: str = "\n") -> None:
    """Print a line, a table or a document, with nothing live in it; to standard output if no other file is named."""
    print(visible(text), file=sys.stdout if file is None else file, end=end, flush=True)
