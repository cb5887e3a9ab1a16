"""Pages with parts that are written from records: what stands between two marks, and the tables in it.

<!-- KIND: NAME -->
what is written
<!-- end of KIND -->
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from spurious.errors import DataError


def filled(page: Path, kind: str, written: Callable[[str], str]) -> str:
    """The text of a page with everything that stands between marks of a kind written anew from the mark's name.

    Raises:
        DataError: marks do not come in pairs.
    """
    text = page.read_text(encoding="utf-8")
    marked = re.compile(rf"(<!-- {kind}: ([^\n]+?) -->\n).*?(<!-- end of {kind} -->)", re.DOTALL)
    starts, ends = text.count(f"<!-- {kind}: "), text.count(f"<!-- end of {kind} -->")
    if not starts == ends == len(marked.findall(text)):
        raise DataError(f"{page}: {starts} tables begin and {ends} end")
    return marked.sub(lambda found: f"{found[1]}{written(found[2])}\n{found[3]}", text)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
