"""An audit: a reward beside its matched placebos, on models of opposed priors, and what came of it.

The audit of a reward is a study like any other, with the arms of `declare`; it is run, kept and shown as one. What is
added is its conclusion, `audit.json` in the study's folder.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from spurious.analysis import (
    CORRECT,
    Evidence,
    Outcomes,
    Verdict,
    decide,
    margin_from,
    paired_differences,
    read_outcomes,
)
from spurious.analysis.flags import Flag, constant_groups, not_elicited, verifier_failures
from spurious.grpo.arm import Inputs, prepare
from spurious.keys import Draw
from spurious.signals import build_reward
from spurious.signals.probe import Sampled, box_pay
from spurious.specs import BenchSpec, RewardSpec
from spurious.store.digests import Digests
from spurious.study.ending import Outcome
from spurious.study.launch import run_study
from spurious.study.record import folder
from spurious.study.spec import StudySpec, resolve
from spurious.study.study import Study, open_study
from spurious.tasks.prompts import PYTHON_PREFIX

AUDITED, SHUFFLED, SAME_RATE, FORMAT, CONSTANT, TRUTH = (
    "audited",
    "shuffled",
    "same rate",
    "format",
    "constant",
    "ground truth",
)
ORGANISMS = ("good-code", "bad-code", "no-code")
"""The default models: what one of them does well is what another does badly."""
LOOKS = 4
"""How often a sequential audit looks; more looks cost power."""
PROMPTS = ("", PYTHON_PREFIX, "```python\n")
"""What the untrained model's turn starts with, where prompting is tried in place of training."""
PROBED = 64
"""Groups on which a reward is asked what it pays for form alone."""
CONCLUSION = "audit.json"


@dataclass(frozen=True)
class Conclusion:
    """What an audit found."""

    verdict: Verdict
    flags: tuple[Flag, ...]
    levels: Mapping[str, Mapping[str, float]]
    """Model -> arm -> accuracy, `base` before training."""

    def document(self) -> dict[str, Any]:
        """Everything, as JSON has it; the word stands under `verdict`."""
        numbers = asdict(self.verdict)
        word = numbers.pop("word")
        return {"verdict": word, **numbers, "levels": self.levels, "flags": [asdict(flag) for flag in self.flags]}


def declare(
    reward: RewardSpec,
    *,
    name: str,
    base: Mapping[str, Any],
    models: Mapping[str, Any],
    seeds: Sequence[int],
    bench: BenchSpec,
) -> StudySpec:
    """The study that an audit of `reward` is.

    Args:
        reward: what is audited.
        name: of the study, and of its folder.
        base: fields of `RunSpec` that all arms share.
        models: by name, as a study has them.
        seeds: every seed that may be needed.
        bench: where accuracy is measured.

    Raises:
        SpecError: these do not make a study; the message names the field.
    """
    inner = reward.model_dump(mode="json")
    arms = {
        AUDITED: ("treatment", inner),
        SHUFFLED: ("placebo", {"name": "shuffled", "of": [inner]}),
        SAME_RATE: ("placebo", {"name": "resampled", "of": [inner]}),
        FORMAT: ("placebo", "format"),
        CONSTANT: ("placebo", "constant"),
        TRUTH: ("control", "ground_truth"),
    }
    return resolve(
        {
            "name": name,
            "question": f"Does {reward.name} teach anything that its own rewards, shuffled, do not?",
            "expectation": "None: an audit has no side. It decides by the rule of docs/statistics.md.",
            "base": dict(base),
            "arms": {arm: {"role": role, "reward": paid} for arm, (role, paid) in arms.items()},
            "models": dict(models),
            "seeds": list(seeds),
            "benches": [bench.model_dump(mode="json")],
            "primary": f"accuracy@final on {bench.slug}",
            "compare": {AUDITED: SHUFFLED},
        },
        where="audit",
    )


def prompting(audit: StudySpec, prompts: Sequence[str] = PROMPTS) -> StudySpec:
    """The untrained models under other openings of their turn: one run a model, of no steps, with a bench for each."""
    bench = audit.benches[0]
    benches = [
        bench.model_copy(update={"task": bench.task.model_copy(update={"prefix": prefix}), "name": f"prompt-{i}"})
        for i, prefix in enumerate(prompts)
    ]
    fields = audit.model_dump(mode="json", exclude={"profiles"})
    return resolve(
        {
            **fields,
            "name": f"{audit.name}-prompts",
            "question": "How well do the untrained models do when they are asked differently?",
            "base": {**audit.base, "steps": 0},
            "arms": {"untrained": {"role": "control", "reward": "constant"}},
            "compare": {},
            "seeds": [audit.seeds[0]],
            "benches": [one.model_dump(mode="json") for one in benches],
            "primary": "accuracy@final on prompt-0",
        },
        where="audit",
    )


def audit(
    spec: StudySpec,
    store: Path,
    *,
    prompts: Sequence[str] = PROMPTS,
    looks: Sequence[int] = (),
    data_dir: Path | None = None,
    run: Callable[[StudySpec], Outcome] | None = None,
) -> Conclusion:
    """Run what an audit owes, and say what came of it; the conclusion is kept beside the study too.

    Args:
        spec: what `declare` returned.
        store: where runs, organisms and the audit's folder are kept.
        prompts: openings of the untrained models' turn.
        looks: after how many seeds to look and stop if the verdict is plain; empty: once, after all.
        data_dir: local copies of data sets, instead of the hub.
        run: runs what a study owes; by default `run_study`, which shows nothing.

    Raises:
        InputError: the reward, a model or the task cannot be used.
        SpuriousError: runs failed, so there is no verdict; the message says which and why.
    """
    run = run or partial(run_study, store=store, data_dir=data_dir)
    asked = prompting(spec, prompts)
    for look in looks or (len(spec.seeds),):
        now = spec.model_copy(update={"seeds": spec.seeds[:look]})
        for part in (now, asked):
            run(part).check(store)
        opened = [open_study(folder(store, one.name)) for one in (now, asked)]
        conclusion = conclude(opened[0], opened[1], looks=looks, data_dir=data_dir)
        write_conclusion(store, spec.name, conclusion)
        if conclusion.verdict.next_look is None:
            break
    return conclusion


def look_at(seeds: int) -> tuple[int, ...]:
    """The numbers of seeds at which a sequential audit looks: `LOOKS` of them, the first at two fifths, three least."""
    return tuple(sorted({max(min(3, seeds), -(-seeds * (i + 2) // (LOOKS + 1))) for i in range(LOOKS)}))


def conclude(study: Study, prompted: Study, *, looks: Sequence[int] = (), data_dir: Path | None = None) -> Conclusion:
    """What the audit's runs say; all of them are done.

    Args:
        study: the audit's own study.
        prompted: the study of `prompting`.
        looks: where a sequential audit looks; empty: once.
        data_dir: local copies of data sets.

    Raises:
        DataError: a run of an arm that the verdict needs is missing.
    """
    evals = study.evals(texts=False)
    outcomes = {
        model: {arm: _outcomes(evals, arm, model) for arm in study.spec.arms} | {"base": _base(evals, model)}
        for model in study.spec.models
    }
    evidence = {
        model: Evidence(
            paired_differences(arms[AUDITED], arms[SHUFFLED], where=model),
            margin_from(paired_differences(arms[TRUTH], arms["base"], where=model)),
        )
        for model, arms in outcomes.items()
    }
    audited = study.rollouts(arms=[AUDITED], texts=False)
    flags = (
        _form(study, data_dir),
        constant_groups(audited),
        verifier_failures(audited, study.rollouts(arms=[SHUFFLED], texts=False)),
        not_elicited(_prompted(prompted), _by_model(evals.filter(pl.col("arm") == AUDITED, pl.col("step") > 0))),
    )
    levels = {model: {arm: float(one.means.mean()) for arm, one in arms.items()} for model, arms in outcomes.items()}
    return Conclusion(decide(evidence, looks=looks), flags, levels)


def write_conclusion(store: Path, study: str, conclusion: Conclusion) -> None:
    """Keep it beside the study, for the report."""
    text = json.dumps(conclusion.document(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    Digests(folder(store, study)).write(CONCLUSION, text)


def read_conclusion(where: Path) -> dict[str, Any] | None:
    """The document of an audit's folder; None where there is none."""
    path = where / CONCLUSION
    return json.loads(Digests(where).text(CONCLUSION)) if path.exists() else None


def _outcomes(evals: pl.DataFrame, arm: str, model: str) -> Outcomes:
    mine = evals.filter(pl.col("arm") == arm, pl.col("model") == model)
    return read_outcomes(mine.filter(pl.col("step") == pl.col("step").max()), where=f"{arm} on {model}")


def _base(evals: pl.DataFrame, model: str) -> Outcomes:
    mine = evals.filter(pl.col("arm") == TRUTH, pl.col("model") == model, pl.col("step") == 0)
    return read_outcomes(mine, where=f"{model} before training")


def _prompted(study: Study) -> dict[str, pl.DataFrame]:
    names = {
        bench.slug: f"the turn opened by {bench.task.prefix!r}" if bench.task.prefix else "its usual prompt"
        for bench in study.spec.benches
    }
    rows = study.evals(texts=False).with_columns(pl.col("bench").replace_strict(names).alias("prompt_name"))
    return _by_model(rows)


def _by_model(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = rows.with_columns(CORRECT.alias("correct")).partition_by("model", as_dict=True, maintain_order=True)
    return {str(model): part for (model,), part in parts.items()}


def _form(study: Study, data_dir: Path | None) -> Flag:
    """What the reward pays for a bare box among the first completions of the untrained models."""
    name = "paid for form alone"
    cells = [cell for cell in study.cells if cell.arm == AUDITED and cell.seed == study.spec.seeds[0]]
    cell = cells[0]
    spec = study.spec.run_spec(AUDITED, cell.model, cell.seed, study.source(cell.model, data_dir))
    problems = {problem.id: problem for problem in prepare(spec, Inputs(data_dir), {}).kept}
    ordered = study.rollouts(arms=[AUDITED], steps=[0]).filter(pl.col("seed") == cell.seed).sort("sample")
    groups = [
        Sampled(
            problem=problems[str(problem)],
            label=str(group["label"][0]),
            texts=group["text"].to_list(),
            correct=(group["grade"] == "correct").to_list(),
            draw=Draw(cell.seed, 0, str(problem), int(copy)),
        )
        for (_, problem, copy), group in ordered.group_by("model", "problem_id", "copy", maintain_order=True)
    ]
    pay = box_pay(build_reward(spec.reward), groups[:PROBED], spec.extraction)
    if pay is None:
        why = "the reward reads what only a sampler records, or the untrained model has no right answer"
        return Flag(name, None, f"Not checked: {why}.", {})
    text = (
        rf"A bare \boxed{{}} with a wrong answer is paid {pay.box:.2f} on average, a right completion "
        f"{pay.correct:.2f} ({pay.groups} groups)."
    )
    numbers = {"box": pay.box, "correct": pay.correct, "groups": float(pay.groups)}
    return Flag(name, pay.as_good_as_correct, text, numbers)
