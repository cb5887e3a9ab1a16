"""From a study, or one run, to the files that another trainer starts from."""

from collections.abc import Collection, Iterator
from pathlib import Path

from spurious.engines.export import WRITERS, Job, problems_in_order
from spurious.engines.export.job import BENCH, ask
from spurious.errors import InputError, SpecError
from spurious.grpo.arm import Arm, Inputs, prepare
from spurious.grpo.operators import effective_operators
from spurious.policy.ask import asker
from spurious.policy.model import Policy, load_tokenizer
from spurious.specs import RunSpec
from spurious.study.cells import distinct, expand
from spurious.study.spec import StudySpec


def export_run(
    spec: RunSpec, out: Path, trainer: str, *, data_dir: Path | None = None, gpus: int = 8, one_by_one: bool = False
) -> Path:
    """Write one run for another trainer.

    Args:
        spec: the run.
        out: a folder for it; it is named after what the run is.
        trainer: one of `spurious.engines.export.WRITERS`.
        data_dir: local copies of data sets, instead of the hub.
        gpus: how many the script asks for.
        one_by_one: a reward of the user's own pays every completion by itself.

    Returns:
        The folder of the run.

    Raises:
        InputError: whatever is wrong with the run, or a field that the trainer cannot do, named.
    """
    return _write(spec, out, trainer, Inputs(data_dir), gpus, one_by_one)


def export_study(
    study: StudySpec,
    out: Path,
    trainer: str,
    *,
    store: Path,
    data_dir: Path | None = None,
    only: Collection[str] = (),
    gpus: int = 8,
    one_by_one: bool = False,
) -> Iterator[tuple[str, Path]]:
    """Write every run of a study; yields its cell in words and its folder.

    Args:
        study: what is exported.
        out: a folder; every run has one in it.
        trainer: one of `spurious.engines.export.WRITERS`.
        store: where organisms and votes are that the runs need.
        data_dir: as `export_run`.
        only: export only these arms.
        gpus: as `export_run`.
        one_by_one: as `export_run`.

    Raises:
        InputError: as `export_run` does, or something has to be made first.
    """
    sources = Inputs(data_dir)
    for planned in distinct(p for p in expand(study, store, sources=sources) if not only or p.cell.arm in only):
        if planned.first:
            first = ", ".join(one.title for one in planned.first)
            raise SpecError(f"{planned.cell.title}: needs {first} first; `spurious study run` makes it")
        try:
            yield planned.cell.title, _write(planned.spec, out, trainer, sources, gpus, one_by_one)
        except InputError as error:
            raise type(error)(f"{planned.cell.title}: {error}") from error


def _write(spec: RunSpec, out: Path, trainer: str, sources: Inputs, gpus: int, one_by_one: bool) -> Path:
    if trainer not in WRITERS:
        raise SpecError(f"--to {trainer}: runs are exported to {', '.join(WRITERS)}")
    arm = prepare(spec, sources, {})
    policy = load_tokenizer(spec.model, revision=spec.revision)
    folder = out / arm.directory_name
    WRITERS[trainer](_job(arm, policy, one_by_one), folder, gpus)
    return folder


def _job(arm: Arm, policy: Policy, one_by_one: bool) -> Job:
    """The run with its prompts in words, and with the stop strings that its template adds."""
    spec = arm.spec
    asked = asker(spec.task, arm.task, policy)
    benches = []
    for bench, task in arm.benches:
        truths = {problem.id: problem.answer for problem in task.problems}
        wording = asker(bench.task, task, policy)
        benches.append((bench, ask(wording, task.problems, truths, f"{BENCH}{bench.slug}")))
    return Job(
        spec=spec.model_copy(update={"sampling": asked.sampling(spec.sampling)}),
        fingerprint=arm.identity.fingerprint,
        operators=effective_operators(spec.grpo),
        train=ask(asked, problems_in_order(arm.problems, spec.steps), arm.labels),
        benches=benches,
        ends=sorted(token.content for token in policy.tokenizer.added_tokens_decoder.values() if token.special),
        one_by_one=one_by_one,
    )
