"""Whether results that a repository keeps are whole: every declared run and comparison, by today's study file.

A result can be lost in silence: a seed that failed, an arm that was renamed, an expectation that was reworded after the
runs. Each is said in a sentence here.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, get_args

import yaml
from pydantic import Field, ValidationError

from spurious.analysis.verdicts import Sign
from spurious.errors import InputError, SpecError
from spurious.organisms.recipe import load_recipe
from spurious.report.bases import BASE
from spurious.report.summary import rounded
from spurious.specs import Spec
from spurious.study.results import FORMAT, SUMMARY, spec_fields
from spurious.study.spec import StudySpec, load_spec

FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "study": str,
    "file": str,
    "profile": (str, type(None)),
    "question": str,
    "expectation": str,
    "primary": str,
    "margin": (float, int, type(None)),
    "seeds": list,
    "seeds_found": list,
    "pairs": list,
    "spec": dict,
    "declared": dict,
    "models": dict,
    "levels": list,
    "comparisons": list,
    "benches": list,
    "runs": list,
    "missing": list,
    "commands": list,
    "environment": dict,
    "tables": list,
    "figures": list,
    "format": int,
    "digits": int,
}
"""What a summary holds."""

NUMBERS = ("effect", "interval", "bootstrap", "p", "p_holm", "median", "signs", "by_seed", "detectable", "verdict")
"""What every comparison holds."""


class Demands(Spec):
    """What the results of a repository have to have."""

    seeds: Annotated[int, Field(ge=1)]
    """The least that any study has."""
    more_seeds: dict[str, int] = Field(default_factory=dict)
    """By study: those that need more."""
    without_results: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Studies that have none yet, and why: nothing is absent in silence."""


def load_demands(path: Path) -> Demands:
    """Read the demands from a YAML file.

    Raises:
        SpecError: the message names file and field.
    """
    try:
        return Demands.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise SpecError(f"{path}: {error}") from error


def unaccounted(results: Path, expected: Collection[str], demands: Demands) -> list[str]:
    """In sentences: studies with neither results nor a reason, and reasons of studies that have results."""
    there = {path.parent.name for path in results.glob(f"*/{SUMMARY}")}
    reasons = demands.without_results
    return [
        *(f"{name}: no results and no reason" for name in expected if name not in there and name not in reasons),
        *(f"{name}: has results and a reason for having none" for name in reasons if name in there),
        *(f"{name}: has a reason for having no results, and is no study" for name in reasons if name not in expected),
    ]


def complaints(summary: Path, root: Path, demands: Demands) -> list[str]:
    """In sentences, what is wrong with one study's results; empty where nothing is.

    Args:
        summary: the `summary.json` of a study, its tables and figures beside it.
        root: of the repository, where the study's file is named from.
        demands: what all results have to have.
    """
    try:
        document = json.loads(summary.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"not readable: {error}"]
    shape = list(_shape(document))
    if shape:
        return shape
    try:
        study = load_spec(root / document["file"], document["profile"])
    except InputError as error:
        return [f"its study file: {error}"]
    checks = (_declaration, _seeds, _models, _runs, _levels, _comparisons, _benches)
    found = [sentence for check in checks for sentence in check(document, study)]
    least = demands.more_seeds.get(document["study"], demands.seeds)
    if len(document["seeds_found"]) < least:
        found.append(f"seeds: {len(document['seeds_found'])} were run, {least} are the least")
    if summary.parent.name != document["study"]:
        found.append(f"study: {document['study']} lies in the folder {summary.parent.name}")
    return found + list(_files(document, summary.parent))


def _shape(document: Any) -> Iterator[str]:
    if not isinstance(document, dict):
        yield "not a mapping of fields"
        return
    for name, kind in FIELDS.items():
        if name not in document:
            yield f"{name}: missing"
        elif not isinstance(document[name], kind):
            yield f"{name}: not of the expected kind"
    if document.get("format") != FORMAT:
        yield f"format: {document.get('format')}, not {FORMAT}"


def _declaration(document: dict[str, Any], study: StudySpec) -> Iterator[str]:
    now, then = rounded(spec_fields(study)), document["spec"]
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) != then.get(name):
            yield f"{name}: the study file says something else than when these results were written"
    if document["expectation"] != study.expectation:
        yield "expectation: not the study file's, and the change is not on record"
    record = document["declared"].get("recorded") or []
    if not record:
        yield "declared: nothing says when the expectation was declared"
    elif not record[-1].get("same"):
        yield "declared: today's declaration is not on record; `spurious study run` records it"
    if document["missing"]:
        yield f"missing: {document['missing'][0]}" + _more(document["missing"])


def _seeds(document: dict[str, Any], study: StudySpec) -> Iterator[str]:
    lost = [seed for seed in study.seeds if seed not in document["seeds_found"]]
    if lost:
        yield f"seeds: {lost[0]} is declared and was not run" + _more(lost)


def _models(document: dict[str, Any], study: StudySpec) -> Iterator[str]:
    for name, model in study.models.items():
        known = document["models"].get(name)
        if not known or not known.get("digest"):
            yield f"models: nothing says what {name} is"
        elif model.organism and known.get("recipe_digest") != load_recipe(model.organism).digest:
            yield f"models: the recipe of {name} is another one today"


def _runs(document: dict[str, Any], study: StudySpec) -> Iterator[str]:
    there = {(one["arm"], one["model"], one["seed"]): one for one in document["runs"]}
    lost = []
    for arm, model, seed in product(study.arms, study.models, study.seeds):
        run = there.get((arm, model, seed))
        if run is None or run["state"] != "done" or not re.fullmatch(r"[0-9a-f]{8,}", run["run"] or ""):
            lost.append(f"{arm} on {model}, seed {seed}, is {run['state'] if run else 'not there'}")
    if lost:
        yield f"runs: {lost[0]}" + _more(lost)


def _levels(document: dict[str, Any], study: StudySpec) -> Iterator[str]:
    there = {(one["model"], one["arm"]) for one in document["levels"] if one.get("interval")}
    trained = [arm for arm in study.arms if study.run_spec(arm, next(iter(study.models)), study.seeds[0]).steps]
    for model, arm in product(study.models, [BASE, *trained]):
        if (model, arm) not in there:
            yield f"levels: {arm} on {model} is missing"


def _comparisons(document: dict[str, Any], study: StudySpec) -> Iterator[str]:
    there = {(one["arm"], one["against"], one["model"]): one for one in document["comparisons"]}
    for (arm, against), model in product(study.pairs, study.models):
        name = f"comparisons: {arm} against {against} on {model}"
        one = there.get((arm, against, model))
        if one is None:
            yield f"{name} is missing"
            continue
        absent = [number for number in NUMBERS if one.get(number) is None]
        if absent:
            yield f"{name} lacks {', '.join(absent)}"
            continue
        lost = [seed for seed in study.seeds if str(seed) not in one["by_seed"]]
        if lost:
            yield f"{name} lacks seed {lost[0]}" + _more(lost)
        elif abs(fmean(one["by_seed"].values()) - one["effect"]) > 1e-4 * max(1.0, abs(one["effect"])):
            yield f"{name}: its effect is not the mean over its seeds"
        if one["verdict"] not in get_args(Sign):
            yield f"{name}: {one['verdict']!r} is no verdict"
        if study.margin is not None and not one.get("equivalence"):
            yield f"{name} lacks the equivalence test that its margin asks for"


def _benches(document: dict[str, Any], study: StudySpec) -> Iterator[str]:
    if study.pairs:
        return
    there = {(one["bench"], one["model"], one["metric"]) for one in document["benches"]}
    for bench, model in product(study.benches, study.models):
        if (bench.slug, model, "accuracy") not in there:
            yield f"benches: {bench.slug} on {model} is missing"


def _files(document: dict[str, Any], folder: Path) -> Iterator[str]:
    named = [*document["tables"], *document["figures"]]
    for name in named:
        if not (folder / name).is_file():
            yield f"{name}: the file is missing"
    needed = ("levels.csv", "effects.csv" if document["pairs"] else "benches.csv")
    for name in needed:
        if name not in document["tables"]:
            yield f"tables: {name} is not among them"
    if not document["figures"]:
        yield "figures: there are none"
    for path in sorted(folder.iterdir()):
        if path.name not in (*named, SUMMARY):
            yield f"{path.name}: the summary does not name it"


def _more(items: Collection[Any]) -> str:
    return f" (and {len(items) - 1} more)" if len(items) > 1 else ""
