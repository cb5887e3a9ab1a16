"""Pages whose tables are made from committed results: what stands between two marks is written by this room.

<!-- results: F14 -->                            every declared comparison, and where the files are
<!-- results: F14, random against constant -->   one comparison
<!-- end of results -->
"""

import json
import re
from os.path import relpath
from pathlib import Path

from spurious.errors import DataError
from spurious.report import marked
from spurious.report.markdown import Summary, benches, comparisons, facts
from spurious.study.checked import Demands
from spurious.study.results import SUMMARY

_NAME = re.compile(r"(?P<study>[\w.-]+)(?:, (?P<arm>.+?) against (?P<against>.+))?")


def filled(page: Path, results: Path, demands: Demands) -> str:
    """The text of a page with every table as the results have it now; a study without results says why.

    Args:
        page: a Markdown file.
        results: the folder of results, a folder a study.
        demands: with the reasons of studies that have none.

    Raises:
        DataError: a mark names a study or comparison that is not there, or marks do not come in pairs.
    """

    def written(name: str) -> str:
        found = _NAME.fullmatch(name)
        if found is None:
            raise DataError(f"{page}: results of {name!r}: neither a study nor one of its comparisons")
        only = (found["arm"], found["against"]) if found["arm"] else None
        return _results(page, results, demands, found["study"], only)

    return marked.filled(page, "results", written)


def _results(page: Path, results: Path, demands: Demands, study: str, only: tuple[str, str] | None) -> str:
    path = results / study / SUMMARY
    if not path.exists():
        if study not in demands.without_results:
            raise DataError(f"{page}: results of {study}: there are none, and no reason in the demands")
        return f"No results yet: {demands.without_results[study]}."
    summary = json.loads(path.read_text(encoding="utf-8"))
    if only is not None:
        if list(only) not in summary["pairs"]:
            raise DataError(f"{page}: results of {study}: it does not compare {only[0]!r} with {only[1]!r}")
        return comparisons(summary, only)
    table = comparisons(summary) if summary["pairs"] else benches(summary)
    return f"{facts(summary)}\n\n{table}\n\n{_links(page, path.parent, summary)}"


def _links(page: Path, folder: Path, summary: Summary) -> str:
    """The files, and the first figure."""
    place = Path(relpath(folder, page.parent)).as_posix()
    named = [f"[{name}]({place}/{name})" for name in (SUMMARY, *summary["tables"], *summary["figures"])]
    first = next((name for name in summary["figures"] if name in ("effect.svg", "benches-accuracy.svg")), None)
    picture = f"\n\n![{summary['study']}: {summary['question'].strip()}]({place}/{first})" if first else ""
    return ", ".join(named) + picture
