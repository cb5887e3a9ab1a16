"""The sections of the page below the answer: which figures and tables stand where, and what is said above them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from spurious.report.association import association_figures, association_tables
from spurious.report.credit import credit_curves, credit_table
from spurious.report.curves import DISTRIBUTION, bench_curves, learning, training_curve
from spurious.report.equal_kl import kl_curves, kl_table
from spurious.report.figure import Figure
from spurious.report.grades import grade_mix
from spurious.report.long_run import bench_figure, bench_table, pass_figures
from spurious.report.material import Material
from spurious.report.mechanism import clip_bias, clip_fraction, ratio_histogram
from spurious.report.onset import onset_figures
from spurious.report.palette import Style, arm_styles
from spurious.report.seeds import Table
from spurious.report.series import WINDOW
from spurious.report.steps import signal_figure, signal_table
from spurious.report.switches import contribution_rows, note, sankey, strategy_switches

CURVES = (
    f"Thick: mean over seeds, each smoothed over {WINDOW} steps (step 0 is not). "
    "Band: lowest to highest seed. Thin: raw."
)

MECHANISM = (ratio_histogram, clip_fraction, clip_bias, signal_figure)

MEANS = f"Curves: mean over seeds, each smoothed over {WINDOW} steps; band: lowest to highest seed."


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure, with a table below it in the case of strategy switches, or a table of its own."""

    figure: Figure | None = None
    rows: tuple[Mapping[str, str], ...] = ()
    note: str = ""
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Figures of one kind, model by model."""

    slug: str
    nav: str
    """Short, for the bar on top."""
    title: str
    lead: str
    legend: bool
    """Whether the arms' legend stands on top."""
    groups: tuple[tuple[str, tuple[Panel, ...]], ...]
    """(heading, panels): a model each, or one group without a heading."""


def sections(material: Material) -> list[Section]:
    """Everything that is drawn, in the order of the page; sections without a figure are left out."""
    styles = arm_styles(material.arms)
    models, habit = material.models, material.declared.habit
    made = [
        Section(
            "learning",
            "Learning",
            "How each arm learned",
            f"Accuracy is measured against the truth in every arm, whatever the arm was paid for. {CURVES}",
            True,
            tuple((model, _learning(material, model, styles)) for model in models),
        ),
        Section(
            "strategies",
            "Strategies",
            "Who switched strategy, and what that gave",
            f"Answers to the same problems before and after training: CC kept {habit.shown}, CL gave it up, LC took it "
            "up, LL never used it. The contribution of a set is its share in the net change of right answers; shares "
            "add up to 100 % and may be negative. Seeds are pooled; the lowest and highest seed stand below.",
            False,
            _strategies(material, styles),
        ),
        Section(
            "credit",
            "Paid and true",
            "What was paid, and what was true",
            f"Whether penalized answers are mostly right too, and whether a reward pays for {habit.shown}. {MEANS}",
            True,
            tuple(
                (model, (*_panels(credit_curves(material, model, styles)), *_tables([credit_table(material, model)])))
                for model in models
            ),
        ),
        Section(
            "association",
            f"{habit.shown.capitalize()} and accuracy",
            f"Do {habit.shown} and accuracy go together?",
            f"Each strategy's own accuracy; {habit.shown} against {habit.absent} on the same problem, so that "
            f"difficulty does not explain it; and their correlation over the steps of each run. {MEANS}",
            True,
            tuple(
                (
                    model,
                    (
                        *_panels(association_figures(material, model, styles)),
                        *_tables(association_tables(material, model)),
                    ),
                )
                for model in models
            ),
        ),
        Section(
            "mechanism",
            "Clip",
            "What the clip did",
            "The ratio of new to old probability, how often the clip removed a token's gradient and on which side, and "
            "the bias this puts on the policy even when rewards carry no information. Means over seeds, smoothed.",
            True,
            tuple(
                (
                    model,
                    (
                        *_panels(make(material, model, styles) for make in MECHANISM),
                        *_tables([signal_table(material, model)]),
                    ),
                )
                for model in models
            ),
        ),
        Section(
            "distribution",
            "Entropy",
            "Entropy, probability and length",
            f"Whether the policy sharpened, and whether answers grew or shrank on the way. {CURVES}",
            True,
            tuple(
                (
                    model,
                    (
                        *_panels(training_curve(material, what, model, styles) for what in DISTRIBUTION),
                        *_panels(kl_curves(material, model, styles)),
                        *_tables([kl_table(material, model)]),
                    ),
                )
                for model in models
            ),
        ),
        Section(
            "benches",
            "Benchmarks",
            "What else training changed",
            "Benchmarks that the runs are not judged by, for what was forgotten, and the chance that one of many "
            "samples is right, for what was lost in breadth.",
            True,
            tuple(
                (
                    model,
                    (
                        *_panels([bench_figure(material, model, styles), *pass_figures(material, model, styles)]),
                        *_tables([bench_table(material, model)]),
                    ),
                )
                for model in models
            ),
        ),
        Section(
            "grades",
            "Grades",
            "How answers were graded",
            "A verifier that fails says so: its failures are grades of their own, never 'wrong'.",
            False,
            (("", _panels(grade_mix(material, model) for model in models)),),
        ),
    ]
    filled = [(one, tuple((model, panels) for model, panels in one.groups if panels)) for one in made]
    return [replace(one, groups=groups) for one, groups in filled if groups]


def _learning(material: Material, model: str, styles: Mapping[str, Style]) -> tuple[Panel, ...]:
    curves = (training_curve(material, what, model, styles) for what in learning(material.declared.habit))
    return _panels([*bench_curves(material, model, styles), *curves, *onset_figures(material, model, styles)])


def _strategies(material: Material, styles: Mapping[str, Style]) -> tuple[tuple[str, tuple[Panel, ...]], ...]:
    by_model: dict[str, list[Panel]] = {}
    for one in strategy_switches(material):
        panel = Panel(sankey(one, styles[one.arm]), tuple(contribution_rows(one)), note(one))
        by_model.setdefault(one.model, []).append(panel)
    return tuple((model, tuple(panels)) for model, panels in by_model.items())


def _panels(made: Iterable[Figure | None]) -> tuple[Panel, ...]:
    return tuple(Panel(one) for one in made if one is not None)


def _tables(made: Iterable[Table | None]) -> tuple[Panel, ...]:
    return tuple(Panel(table=one) for one in made if one is not None)
