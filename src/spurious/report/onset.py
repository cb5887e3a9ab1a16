"""When each arm began to move and when it had arrived."""

from collections.abc import Mapping

from spurious.analysis.by_run import onsets
from spurious.analysis.onset import HALF_WIDTH, NOISE_ERRORS
from spurious.report.figure import Figure
from spurious.report.material import Material
from spurious.report.palette import Style
from spurious.report.seeds import Shown, of_model, seed_figure


def onset_figures(material: Material, model: str, styles: Mapping[str, Style]) -> list[Figure | None]:
    """Onset and saturation of the training accuracy and of the code frequency."""
    habit = material.declared.habit
    table = onsets(of_model(material.metrics, model), habit.column)
    return [
        seed_figure(
            f"onset-{name}",
            f"Onset and saturation of {words}",
            table,
            model,
            (Shown(f"{name} onset", "10 % of the change", 1, 1), Shown(f"{name} saturation", "90 %", 1, 1)),
            styles,
            x="training step",
            caption=f"Of each seed's total change, smoothed over {2 * HALF_WIDTH + 1} neighboring steps. A change of "
            f"at most {NOISE_ERRORS:g} standard errors of the noise from step to step has neither.",
        )
        for name, words in (("accuracy", "accuracy"), ("code", f"{habit.shown} frequency"))
    ]
