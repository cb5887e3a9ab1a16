"""What a reward paid for, beside what is true and how it was reached (the logs of the paper's code, never plotted)."""

from collections.abc import Mapping

from spurious.analysis.by_run import ROLLOUTS, credits
from spurious.report.curves import Quantity, mean_curve
from spurious.report.figure import Figure
from spurious.report.material import Material
from spurious.report.palette import Style
from spurious.report.seeds import Shown, Table, of_model, seed_table


def credit_curves(material: Material, model: str, styles: Mapping[str, Style]) -> list[Figure | None]:
    """What was encouraged and what was penalized, step by step."""
    habit = material.declared.habit.shown.capitalize()
    curves = (
        Quantity(f"{ROLLOUTS}correct_given_encouraged", "right-up", "Right, among the encouraged (A > 0)", "%", 100),
        Quantity(f"{ROLLOUTS}correct_given_discouraged", "right-down", "Right, among the penalized (A < 0)", "%", 100),
        Quantity(f"{ROLLOUTS}code_gap", "code-paid", f"{habit}: share among paid minus unpaid", "points", 100),
        Quantity(f"{ROLLOUTS}agreement", "agreement", "Paid and right agree", "% of answers", 100),
    )
    return [mean_curve(material, quantity, model, styles) for quantity in curves]


def credit_table(material: Material, model: str) -> Table | None:
    """The same over all steps of a run, with intervals over seeds."""
    habit = material.declared.habit.shown
    shares = {
        "paid": "paid",
        "correct_given_encouraged": "right | A > 0",
        "correct_given_discouraged": "right | A < 0",
        "code_given_paid": f"{habit} | paid",
        "code_given_unpaid": f"{habit} | not paid",
        "code_given_correct": f"{habit} | right",
        "agreement": "agreement",
    }
    return seed_table(
        "All training completions of a run",
        credits(of_model(material.trained, model)),
        model,
        [*(Shown(name, title, 100, 1, " %") for name, title in shares.items()), Shown("kappa", "kappa")],
        material.arms,
        note="Mean over seeds with its 95 % t interval. Paid: reward above 0. Undefined: no seed has such completions. "
        "Agreement: paid and right, or neither. Kappa: agreement beyond that of a coin that pays as often, 0 for a "
        "reward without information.",
    )
