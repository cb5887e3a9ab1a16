"""One HTML file that opens from a disk, without a network: figures, completions and provenance of a study.

Whatever a model said is data: it stands in one JSON block whose every `<` is escaped, and the page puts it on the
screen as text. A content security policy lets only this page's own scripts run, by their digest, and nothing be loaded.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from spurious import __version__
from spurious.report import provenance
from spurious.report.answer import Answer, answer
from spurious.report.browser import completion_records
from spurious.report.curves import DISTRIBUTION, bench_curves, learning, training_curve
from spurious.report.effects import forest, levels
from spurious.report.figure import Figure, csv
from spurious.report.grades import grade_mix
from spurious.report.material import Material
from spurious.report.mechanism import clip_bias, clip_fraction, ratio_histogram
from spurious.report.palette import PALETTES, Style, arm_styles
from spurious.report.series import WINDOW
from spurious.report.switches import contribution_rows, note, sankey, strategy_switches
from spurious.report.words import caveats, effect_rows, headline, model_contrasts, references

CURVES = (
    f"Thick: mean over seeds, each smoothed over {WINDOW} steps (step 0 is not). "
    "Band: lowest to highest seed. Thin: raw."
)


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure, and the table that stands below it (only strategy switches have one)."""

    figure: Figure
    rows: tuple[Mapping[str, str], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Figures of one kind, model by model."""

    slug: str
    title: str
    lead: str
    legend: bool
    """Whether the arms' legend stands on top."""
    groups: tuple[tuple[str, tuple[Panel, ...]], ...]
    """(heading, panels): a model each, or one group without a heading."""


def sections(material: Material, found: Answer | None) -> list[Section]:
    """Everything that is drawn, in the order of the page; sections without a figure are left out."""
    styles = arm_styles(material.arms)
    models = material.models
    made = [
        Section(
            "learning",
            "How each arm learned",
            f"Accuracy is measured against the truth in every arm, whatever the arm was paid for. {CURVES}",
            True,
            tuple((model, _learning(material, model, styles)) for model in models),
        ),
        Section(
            "strategies",
            "Who switched strategy, and what that gave",
            f"Answers to the same problems before and after training: CC kept {material.declared.habit.shown}, CL "
            "gave it up, LC took it up, LL never used it. The contribution of a set is its share in the net change of "
            "right answers; shares add up to 100 % and may be negative. Seeds are pooled; the lowest and highest seed "
            "stand below.",
            False,
            _strategies(material, styles),
        ),
        Section(
            "mechanism",
            "What the clip did",
            "The ratio of new to old probability, how often the clip removed a token's gradient and on which side, and "
            "the bias this puts on the policy even when rewards carry no information. Means over seeds, smoothed.",
            True,
            tuple(
                (model, _panels(make(material, model, styles) for make in (ratio_histogram, clip_fraction, clip_bias)))
                for model in models
            ),
        ),
        Section(
            "distribution",
            "Entropy, probability and length",
            f"Whether the policy sharpened, and whether answers grew or shrank on the way. {CURVES}",
            True,
            tuple(
                (model, _panels(training_curve(material, what, model, styles) for what in DISTRIBUTION))
                for model in models
            ),
        ),
        Section(
            "grades",
            "How answers were graded",
            "A verifier that fails says so: its failures are grades of their own, never 'wrong'.",
            False,
            (("", _panels(grade_mix(material, model) for model in models)),),
        ),
    ]
    filled = [(one, tuple((model, panels) for model, panels in one.groups if panels)) for one in made]
    return [Section(one.slug, one.title, one.lead, one.legend, groups) for one, groups in filled if groups]


def figures(material: Material, found: Answer | None) -> list[Figure]:
    """Every figure of the report, in the order of the page."""
    top = [] if found is None else _top(material, found)
    return top + [
        panel.figure for section in sections(material, found) for _, panels in section.groups for panel in panels
    ]


def render(material: Material) -> str:
    """The whole page."""
    from plotly.offline import get_plotlyjs

    found = answer(material)
    parts = sections(material, found)
    drawn = figures(material, found)
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
        contrasts=model_contrasts(found) if found else [],
        references=references(material, found) if found else [],
        top=[] if found is None else _top(material, found),
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


def _learning(material: Material, model: str, styles: Mapping[str, Style]) -> tuple[Panel, ...]:
    curves = (training_curve(material, what, model, styles) for what in learning(material.declared.habit))
    return _panels([*bench_curves(material, model, styles), *curves])


def _strategies(material: Material, styles: Mapping[str, Style]) -> tuple[tuple[str, tuple[Panel, ...]], ...]:
    by_model: dict[str, list[Panel]] = {}
    for one in strategy_switches(material):
        panel = Panel(sankey(one, styles[one.arm]), tuple(contribution_rows(one)), note(one))
        by_model.setdefault(one.model, []).append(panel)
    return tuple((model, tuple(panels)) for model, panels in by_model.items())


def _panels(made: Iterable[Figure | None]) -> tuple[Panel, ...]:
    return tuple(Panel(one) for one in made if one is not None)


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
