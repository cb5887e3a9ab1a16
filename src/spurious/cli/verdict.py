"""`spurious verdict`: treatment against placebo, from the evaluation rows of any trainer."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from spurious.cli.analyze import Format, facts
from spurious.cli.words import columns as text_table
from spurious.cli.words import percent
from spurious.terminal import say

if TYPE_CHECKING:
    from spurious.analysis import Comparison, Family, Outcomes
    from spurious.engines.arms import Arm

Files = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")]


def verdict(
    *,
    treatment: Files,
    placebo: Files,
    margin: float | None = None,
    step: int | None = None,
    format: Format = "auto",
    column: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Judge a treatment against its placebo: earned, elicited, indistinguishable, worse or underpowered.

    Args:
        treatment: Evaluation rows of the treated runs, in any format that `spurious analyze` reads: one file a seed, or
            files with a `seed` column. MODEL=PATH names the model, where there are several and no `model` column.
        placebo: The same of the placebo runs. Without a `seed` column, order pairs the seeds.
        margin: The largest difference in accuracy that counts as none, declared before looking: a quarter of what
            ground truth gains. Without one nothing can be called indistinguishable.
        step: Only the rows of this step.
        format: The tool that wrote the rows; auto looks at the columns.
        column: Which column holds what, as FIELD=NAME; repeat for more.
        json_: Print one JSON document with the verdict and every number, and nothing else.
    """
    from spurious.analysis import Evidence, Wording, compare_family, decide, paired_differences
    from spurious.engines import column_mapping
    from spurious.engines.arms import read_arm
    from spurious.errors import InputError

    if margin is not None and not margin > 0:
        raise InputError(f"margin: {margin} is not above 0")
    kind = None if format == "auto" else format
    mapping = column_mapping(column)
    arms = {
        word: read_arm(files, word, format=kind, columns=mapping, step=step)
        for word, files in (("treatment", treatment), ("placebo", placebo))
    }
    pairs = _outcomes(arms["treatment"], arms["placebo"])
    evidence = {
        model: Evidence(paired_differences(treated, control, where=model), margin)
        for model, (treated, control) in pairs.items()
    }
    conclusion = decide(evidence, wording=Wording(placebo="its placebo", no_margin="none was declared (--margin)"))
    family = compare_family(pairs, seed=0, margin=margin)
    if json_:
        numbers = asdict(conclusion)
        word = numbers.pop("word")
        files = {word: [facts(source) for source in arm.sources] for word, arm in arms.items()}
        say(
            json.dumps(
                {"verdict": word, **numbers, "outcome": "accuracy", "statistics": asdict(family), **files}, indent=2
            )
        )
    else:
        say("\n".join([*conclusion.sentences, "", _table(family)]))


def _outcomes(treatment: "Arm", placebo: "Arm") -> "dict[str, tuple[Outcomes, Outcomes]]":
    """Both arms' outcomes by model.

    Raises:
        InputError: an arm lacks a model that the other has.
    """
    from spurious.analysis import read_outcomes
    from spurious.errors import InputError

    for word, have, other in (
        ("treatment", treatment.by_model, placebo.by_model),
        ("placebo", placebo.by_model, treatment.by_model),
    ):
        missing = [model for model in other if model not in have]
        if missing:
            raise InputError(f"{word}: no rows of model {missing[0]!r}, which the other arm has")
    return {
        model: (
            read_outcomes(rows, where=f"treatment, {model}"),
            read_outcomes(placebo.by_model[model], where=f"placebo, {model}"),
        )
        for model, rows in treatment.by_model.items()
    }


def _table(family: "Family") -> str:
    return text_table(_line(model, one, family.adjusted[model]) for model, one in family.comparisons.items())


def _line(model: str, one: "Comparison", adjusted: float) -> dict[str, str]:
    interval = "-" if one.interval is None else f"{percent(one.interval[0])} to {percent(one.interval[1])}"
    return {
        "accuracy, %": model,
        "treatment": percent(one.treatment),
        "placebo": percent(one.placebo),
        "difference": percent(one.difference),
        "95 % interval": interval,
        "over": one.basis,
        "p (Holm)": f"{adjusted:.2g}",
        "detectable": percent(one.detectable),
        "seeds": str(one.n_seeds),
        "problems": str(one.n_problems),
        "by seed": " ".join(percent(value) for _, value in one.by_seed),
    }
