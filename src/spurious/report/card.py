"""The model card of a run: what the model was paid for, what became of it, and a warning where the pay knew nothing.

Names, questions and arguments come from users, so everything that is not our own wording is escaped. Paths of the
machine that trained are cut to their last name.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import polars as pl
import yaml

from spurious.analysis import CORRECT
from spurious.analysis.levels import Level, change, level
from spurious.errors import StoreError
from spurious.report.answer import Answer, Effect, answer
from spurious.report.figure import signed
from spurious.report.material import Cell, Material, arm_in_words, steps_in_words
from spurious.report.words import caveats, headline, verdict_word
from spurious.signals.truth import ignores_truth
from spurious.specs import LabelSpec, RewardSpec
from spurious.store import load, read_manifest
from spurious.store.fingerprint import digest

PLACEBO = "trained with a placebo reward"
"""The warning's words, which a search for such models finds."""


def card(directory: Path, study: Material | None = None) -> str:
    """The card of a run directory's final weights, as Markdown with the hub's header.

    Args:
        directory: the run.
        study: the study that the run belongs to, which knows its arm, its role and the verdict.

    Raises:
        StoreError: there is no run, or the study has no cell that is this run.
    """
    manifest = read_manifest(directory)
    cells = _cells(manifest, study)
    warning = _warning(manifest, cells, study)
    parts = [
        _header(manifest, warning),
        f"# {escape(_base(manifest))} after {steps_in_words(manifest['spec']['steps'])} of {_arms(manifest, cells)}",
        warning,
        "\n".join(f"- {name}: {text}" for name, text in _facts(manifest, cells, study)),
        _evaluations(directory, manifest["spec"]["steps"]),
        _verdict(cells, study) if study else _NO_STUDY,
        _how(manifest),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: object) -> str:
    """Text in the middle of a line of Markdown that stands there as it is: no markup, no HTML, no line of its own."""
    plain = "".join(" " if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") else one for one in str(text))
    marked = re.sub(r"([\\`*_{}\[\]()#|~$!])", r"\\\1", " ".join(plain.split()))
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("://", ":&#47;/")


_NO_STUDY = (
    "## Verdict\n\nNone: no study was given. A gain says little without a placebo that was trained beside it, with the "
    "same seeds."
)


def _cells(manifest: Mapping[str, Any], study: Material | None) -> list[Cell]:
    """The places of the run in the study's grid."""
    if study is None:
        return []
    found = [cell for cell in study.cells if cell.run == manifest["fingerprint"]]
    if not found:
        raise StoreError(f"study {study.declared.name}: run {manifest['fingerprint']} is none of its runs")
    return found


def _header(manifest: Mapping[str, Any], warning: str) -> str:
    fields: dict[str, Any] = {
        "library_name": "peft" if _lora(manifest) and _from_hub(manifest) else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["spurious", "rlvr", "grpo", *(["placebo-reward"] if warning else [])],
    }
    if _from_hub(manifest):
        fields["base_model"] = manifest["spec"]["model"]
    return f"---\n{yaml.safe_dump(fields, sort_keys=False)}---"


def _lora(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The adapter that the run trained, if it trained one."""
    found: Mapping[str, Any] | None = manifest["spec"].get("policy", {}).get("lora")
    return found


def _from_hub(manifest: Mapping[str, Any]) -> bool:
    """Whether the base model is a hub id and no directory: its digest is then made of the id and the revision."""
    spec = manifest["spec"]
    named = {"hub": spec["model"], "revision": spec["revision"] or "main"}
    return bool(manifest["inputs"].get("model") == digest(named))


def _base(manifest: Mapping[str, Any]) -> str:
    """The base model by its hub id; that of a directory by its name; that of a checkpoint by its run and step."""
    model = str(manifest["spec"]["model"])
    path = PurePath(model)
    if _from_hub(manifest):
        return model
    return f"{path.parent.parent.name}, step {path.name}" if path.parent.name == "checkpoints" else path.name


def _arms(manifest: Mapping[str, Any], cells: Sequence[Cell]) -> str:
    names = dict.fromkeys(cell.arm for cell in cells) or [arm_in_words(public(manifest["spec"]))]
    return ", ".join(escape(name) for name in names)


def _warning(manifest: Mapping[str, Any], cells: Sequence[Cell], study: Material | None) -> str:
    spec = public(manifest["spec"])
    reward, label = RewardSpec.model_validate(spec["reward"]), LabelSpec.model_validate(spec["label"])
    reasons = [
        f"In the study {study.declared.name}, the arm {cell.arm} is a placebo."
        for cell in cells
        if study and cell.role == "placebo"
    ]
    reasons += [why] if (why := ignores_truth(reward, label, manifest.get("reward_source"))) else []
    if not reasons:
        return ""
    said = " ".join(dict.fromkeys(reasons))
    return (
        f"> **Warning: {PLACEBO}.** {escape(said)} Whatever this model does better than its base was not "
        "taught by true answers. It is a control of an experiment; do not take it for an improved model."
    )


def _facts(manifest: Mapping[str, Any], cells: Sequence[Cell], study: Material | None) -> Iterator[tuple[str, str]]:
    spec = public(manifest["spec"])
    revision = f", revision {spec['revision']}" if spec["revision"] else ""
    yield "base model", escape(f"{_base(manifest)}{revision}")
    for cell in cells:
        yield "arm", escape(f"{cell.arm}, a {cell.role} of the study {study.declared.name if study else ''}")
    yield "reward", escape(in_words(spec["reward"]))
    labels = manifest.get("labels", {})
    kept = f" ({labels['kept']} of {labels['of']} problems have one)" if "kept" in labels else ""
    yield "label, what the reward is told", escape(in_words(spec["label"])) + kept
    if lora := _lora(manifest):
        yield (
            "trained weights",
            escape(f"a low-rank adapter of rank {lora['r']} on {', '.join(lora['target_modules'])}"),
        )
    yield "task", escape(in_words(spec["task"]))
    yield "seed", str(spec["seed"])
    yield "steps", str(spec["steps"])
    yield "engine", escape(spec.get("engine", "own"))
    yield "run", escape(manifest["fingerprint"])


def in_words(named: Mapping[str, Any]) -> str:
    """A reward, label or task: `weighted(format, ground_truth, weights=[0.5, 1])`."""
    inner = [in_words(one) for one in named.get("of", ())]
    given = [f"{name}={json.dumps(value)}" for name, value in named["args"].items()]
    return f"{named['name']}({', '.join([*inner, *given])})" if inner or given else str(named["name"])


def public(value: Any) -> Any:
    """Plain data without where things lie on this machine: absolute paths become their last name."""
    if isinstance(value, Mapping):
        return {name: public(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [public(inner) for inner in value]
    return PurePath(value).name if isinstance(value, str) and value.startswith(("/", "~")) else value


def _evaluations(directory: Path, steps: int) -> str:
    evals = load(directory).rows("evals", texts=False)
    rows = [_evaluation(bench, evals.filter(pl.col("bench") == bench), steps) for bench in _benches(evals)]
    if not rows:
        return "## Accuracy\n\nThis run was not evaluated."
    heads = ("benchmark", "problems", "samples each", "before", f"after {steps_in_words(steps)}", "change in points")
    return (
        f"## Accuracy\n\n{_table(heads, rows)}\n\nIn percent, with 95 % intervals over problems. They are about this "
        "one run: another seed may end elsewhere."
    )


def _benches(evals: pl.DataFrame) -> list[str]:
    return evals["bench"].unique().sort().to_list() if evals.height else []


def _evaluation(bench: str, rows: pl.DataFrame, steps: int) -> tuple[str, ...]:
    means = rows.group_by("step", "problem_id").agg(CORRECT.mean().alias("right"), pl.len().alias("samples"))
    before, after = (means.filter(pl.col("step") == step).sort("problem_id") for step in (0, steps))
    said = [_level(level(one["right"].to_list())) if one.height else "–" for one in (before, after)]
    moved = "–"
    if after.height and before["problem_id"].to_list() == after["problem_id"].to_list():
        moved = _difference(change(before["right"].to_list(), after["right"].to_list()).difference)
    shown = after if after.height else before
    samples = " or ".join(str(n) for n in shown["samples"].unique().sort())
    return escape(bench), str(shown.height), samples, *said, moved


def _level(one: Level) -> str:
    between = f" ({100 * one.interval[0]:.1f} to {100 * one.interval[1]:.1f})" if one.interval else ""
    return f"{100 * one.mean:.1f}{between}"


def _difference(one: Level) -> str:
    between = f" ({signed(100 * one.interval[0])} to {signed(100 * one.interval[1])})" if one.interval else ""
    return f"{signed(100 * one.mean)}{between}"


def _verdict(cells: Sequence[Cell], study: Material) -> str:
    """The audit's word, or what the declared comparisons with this run's arm say; what is missing is said too."""
    declared = study.declared
    answered = answer(study)
    said = [f"## Verdict\n\nStudy {escape(declared.name)}: {escape(declared.question)}"]
    if declared.conclusion is not None:
        sentences = " ".join(map(str, declared.conclusion["sentences"]))
        said.append(f"**{escape(declared.conclusion['verdict'])}**: {escape(sentences)}")
    else:
        notes = " ".join(caveats(study, answered))
        said.append(f"**Answer**: {escape(headline(study, answered))}")
        said.append(_effects(cells, answered))
        said.append(f"Keep in mind: {escape(notes)}" if notes else "")
    undone = sum(cell.state != "done" for cell in study.cells)
    said.append(f"{undone} of the study's {len(study.cells)} runs are not done." if undone else "")
    return "\n\n".join(part for part in said if part)


def _effects(cells: Sequence[Cell], answered: Answer | None) -> str:
    mine = {(cell.model, cell.arm) for cell in cells}
    chosen = [
        one
        for one in (answered.effects if answered else ())
        if mine & {(one.model, one.treatment), (one.model, one.placebo)}
    ]
    if not chosen or answered is None:
        return ""
    heads = ("model", "arm", "against", "seeds", f"difference ({answered.unit.change})", "p (Holm)", "verdict")
    return _table(heads, [_effect(one, answered) for one in chosen])


def _effect(one: Effect, answered: Answer) -> tuple[str, ...]:
    found, unit = one.comparison, answered.unit
    between = f" ({unit.interval(found.interval)})" if found.interval else ""
    names = (escape(name) for name in (one.model, one.treatment, one.placebo))
    return (*names, str(found.n_seeds), unit.difference(found.difference) + between, f"{one.p:.2g}", verdict_word(one))


def _how(manifest: Mapping[str, Any]) -> str:
    """The operators in words, the versions, and every field of the specification."""
    operators = "\n".join(f"- {escape(one)}" for one in manifest.get("operators", ()))
    environment = manifest.get("environment", {})
    versions = ", ".join(f"{name} {version}" for name, version in environment.get("versions", {}).items())
    spec = json.dumps({**public(manifest["spec"]), "model": _base(manifest)}, indent=2)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", spec)), default=0))
    return (
        f"## How it was trained\n\n{operators}\n\nVersions: {escape(versions)}.\n\n"
        f"The specification in full:\n\n{fence}json\n{spec}\n{fence}"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
