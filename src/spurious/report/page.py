"""One HTML file that opens from a disk, without a network: figures, completions and provenance of a study.

Whatever a model said is data: it stands in one JSON block whose every `<` is escaped, and the page puts it on the
screen as text. A content security policy lets only this page's own scripts run, by their digest, and nothing be loaded.
"""

import base64
import gzip
import hashlib
import json
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from spurious import __version__
from spurious.report import provenance
from spurious.report.answer import Answer, answer
from spurious.report.browser import completion_records
from spurious.report.effects import forest, levels
from spurious.report.figure import Figure, csv
from spurious.report.material import Material
from spurious.report.palette import PALETTES, arm_styles
from spurious.report.sections import Section, sections
from spurious.report.spread import spread_table
from spurious.report.words import caveats, effect_rows, headline, model_contrasts, references


def figures(material: Material, found: Answer | None) -> list[Figure]:
    """Every figure of the report, in the order of the page."""
    return _drawn([] if found is None else _top(material, found), sections(material))


def _drawn(top: list[Figure], parts: list[Section]) -> list[Figure]:
    panels = (panel for section in parts for _, panels in section.groups for panel in panels)
    return top + [panel.figure for panel in panels if panel.figure is not None]


def render(material: Material) -> str:
    """The whole page."""
    from plotly.offline import get_plotlyjs

    found = answer(material)
    parts = sections(material)
    top = [] if found is None else _top(material, found)
    drawn = _drawn(top, parts)
    records = completion_records(material)
    data = {
        "palettes": PALETTES,
        "figures": {one.slug: _embedded(one) for one in drawn},
        "completions": records,
    }
    bundle, script = get_plotlyjs(), _resource("page.js")
    environment = Environment(
        loader=PackageLoader("spurious.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        version=__version__,
        policy=_policy(bundle, script),
        palettes=PALETTES,
        style=Markup(_resource("page.css")),
        bundle=Markup(bundle),
        script=Markup(script),
        data=Markup(json_for_html(data)),
        material=material,
        declared=material.declared,
        headline=headline(material, found),
        caveats=caveats(material, found),
        answer=found,
        effect_rows=effect_rows(found) if found else [],
        spread=spread_table(found) if found else None,
        contrasts=model_contrasts(found) if found else [],
        references=references(material, found) if found else [],
        top=top,
        sections=parts,
        styles=arm_styles(material.arms),
        records=len(records),
        record_arms=list(dict.fromkeys(record["arm"] for record in records)),
        record_models=list(dict.fromkeys(record["model"] for record in records)),
        record_grades=sorted({record["grade"] for record in records}),
        grid=provenance.grid(material),
        counts=provenance.counts(material),
        marks=provenance.MARKS,
        operators=provenance.operators(material),
        arm_facts=provenance.arm_facts(material),
        environments=provenance.environments(material),
    )


def json_for_html(value: Any) -> str:
    """JSON that can stand inside a script element: ASCII only, without `<`, `>` or `&`.

    So nothing in it ends the element or starts a comment, line separators and lone surrogates are escapes, and what
    is parsed is what was said.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _top(material: Material, found: Answer) -> list[Figure]:
    styles = arm_styles(material.arms)
    first = forest(found, styles, material.declared.margin)
    return ([first] if first else []) + list(levels(found, styles))


def _embedded(figure: Figure) -> dict[str, Any]:
    """What the page's script needs of a figure; the table compressed, for it is only ever downloaded."""
    packed = gzip.compress(csv(figure.table).encode("utf-8", "replace"), mtime=0)
    return {
        "data": figure.data,
        "layout": figure.layout,
        "csv": base64.b64encode(packed).decode("ascii"),
    }


def _resource(name: str) -> str:
    return files("spurious.report").joinpath("templates", name).read_text(encoding="utf-8")


def _policy(*scripts: str) -> str:
    """Only these scripts run; nothing is loaded from anywhere."""
    digests = [base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii") for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
