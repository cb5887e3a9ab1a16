"""`spurious probe`: what a model does before any training."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from spurious.cli.words import Arguments, columns, percent, plain
from spurious.specs import BenchSpec, TaskSpec
from spurious.terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spurious.analysis.levels import Level
    from spurious.policy import Policy
    from spurious.probes.shifts import Shift
    from spurious.tasks import Task

probe = App(name="probe", help="What a model does before any training: its prior, asked in five ways.")

LIMIT = 200


@Parameter(name="*")
@dataclass(frozen=True)
class Asked:
    """What every probe is asked about."""

    task: str
    """chain, calculation, math500, amc, aime24, aime25, deepscaler, gym:NAME, or a JSON, JSONL or parquet file."""
    task_args: Annotated[Arguments | None, Parameter(name="--task.args")] = None
    """Parameters of the task, such as --task.args.steps 6; tasks with a held-out split are asked from it."""
    template: str = "auto"
    """A prompt template; auto asks the task and the tokenizer."""
    limit: int = LIMIT
    """Use only the first so many problems."""
    max_tokens: int = 128
    """Tokens of an answer."""
    data: Path | None = None
    """A folder with local copies of the data sets, instead of the hub."""
    seed: int = 0
    dtype: str = "float32"
    revision: str | None = None
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False
    """Print one JSON document and nothing else to standard output."""

    def bench(self, name: str, args: Arguments | None, **fields: Any) -> "tuple[BenchSpec, Task]":
        """A benchmark of these problems, loaded."""
        from spurious.tasks import load_bench

        task = TaskSpec(name=name, args=plain(args), template=self.template, limit=self.limit)
        return load_bench(BenchSpec(task=task, max_tokens=self.max_tokens, **fields), data_dir=self.data)

    def policy(self, model: str, revision: str | None) -> "Policy":
        """A model by directory or hub id."""
        from spurious.policy import load, prepare_process

        prepare_process()
        return load(model, revision=revision, dtype=self.dtype)

    def document(self, model: str, task: "Task", result: Any) -> str:
        """All numbers as JSON."""
        from spurious.store.environment import environment
        from spurious.store.fingerprint import model_digest

        about = {
            "model": model,
            "model_digest": model_digest(model, self.revision),
            "source": task.source,
            "problems": task.digest,
            "template": self.template,
            "seed": self.seed,
            "dtype": self.dtype,
            "environment": environment(),
        }
        return json.dumps({**about, **asdict(result)}, indent=2)


@Parameter(name="*")
@dataclass(frozen=True)
class Samples:
    """How often problems are asked."""

    k: int = 1
    """Samples per problem; greedy for 1, temperature 0.6 for more, unless a temperature is given."""
    temperature: float | None = None


@probe.command
def prompts(
    model: str,
    *,
    asked: Asked,
    samples: Samples = Samples(),
    try_: Annotated[tuple[str, ...], Parameter(name="--try", negative="")] = (),
) -> None:
    """Compare every prompt template on the same problems: the best elicitation without training.

    Args:
        model: A Hugging Face model directory, or a hub id.
        try_: A template to hold against the default one (--template); repeat for more; all of them unless given.
    """
    from spurious.probes.prompts import prompts as ask
    from spurious.progress import on_terminal

    spec, task = asked.bench(asked.task, asked.task_args, k=samples.k, temperature=samples.temperature)
    policy = asked.policy(model, asked.revision)
    with on_terminal() as progress:
        result = ask(policy, spec, task, asked.seed, templates=try_, progress=progress)
    if asked.json_:
        say(asked.document(model, task, result))
        return
    changes = {shift.name: shift for shift in result.shifts if shift.metric == "accuracy"}
    say(
        columns(
            {"template": name + (" (default)" if name == result.default else "")}
            | {metric: shown(metric, one) for metric, one in levels.items()}
            | {
                "accuracy, change": shown("accuracy", changes[name].change.difference) if name in changes else "-",
                "p (Holm)": f"{changes[name].p_holm:.2g}" if name in changes else "-",
            }
            for name, levels in result.levels.items()
        )
    )
    best = result.best
    say(f"\nBest without training, chosen on {best.chosen_on} problems: {best.template}.")
    say(f"On the other {best.accuracy.n}: accuracy {shown('accuracy', best.accuracy)} %,", end=" ")
    say(f"change {shown('accuracy', best.change.difference)} against {result.default}.")
    say(f"Chosen on all problems it would be {best.uncorrected[0]}, {percent(best.uncorrected[1])} %.")
    for name, reason in result.refused.items():
        say(f"Not asked: {name}: {reason}")


@probe.command
def prefix(
    model: str,
    *,
    asked: Asked,
    samples: Samples = Samples(),
    prefix: Annotated[tuple[str, ...], Parameter(negative="")] = (),
) -> None:
    """Open the model's turn with a sentence, and compare what follows it with what comes without.

    Args:
        model: A Hugging Face model directory, or a hub id.
        prefix: The sentence; repeat for more. Unless given the paper's: Let's solve this using Python.
    """
    from spurious.probes.prefix import prefix as ask
    from spurious.progress import on_terminal
    from spurious.tasks.prompts import PYTHON_PREFIX

    spec, task = asked.bench(asked.task, asked.task_args, k=samples.k, temperature=samples.temperature)
    policy = asked.policy(model, asked.revision)
    with on_terminal() as progress:
        result = ask(policy, spec, task, asked.seed, prefixes=prefix or (PYTHON_PREFIX,), progress=progress)
    if asked.json_:
        say(asked.document(model, task, result))
    else:
        say(shift_table("prefix", result.shifts))


@probe.command
def perturb(model: str, *, asked: Asked, samples: Samples = Samples()) -> None:
    """Change the numbers in every question, and compare.

    Args:
        model: A Hugging Face model directory, or a hub id.
    """
    from spurious.probes.perturb import perturb as ask
    from spurious.progress import on_terminal

    spec, task = asked.bench(asked.task, asked.task_args, k=samples.k, temperature=samples.temperature)
    policy = asked.policy(model, asked.revision)
    with on_terminal() as progress:
        result = ask(policy, spec, task, asked.seed, progress=progress)
    if asked.json_:
        say(asked.document(model, task, result))
        return
    say(shift_table("made", result.shifts))
    say("\n" + example(*result.example))
    if result.left_out:
        say(f"{len(result.left_out)} problems have no number to change and are left out.")
    if not result.golds_recomputed:
        say("The new answers are unknown, so accuracy is not compared.")


@probe.command
def renarrate(model: str, *, asked: Asked, samples: Samples = Samples(), pairs: Path | None = None) -> None:
    """Put every question into words that no corpus holds, and compare.

    Args:
        model: A Hugging Face model directory, or a hub id.
        pairs: A JSON, JSONL or parquet file: `id` or `question` of a problem, and its `new_question`; for tasks other
            than chain and calculation, whose wordings are built in.
    """
    from spurious.probes.renarrate import renarrate as ask
    from spurious.progress import on_terminal
    from spurious.tasks.reword import read_pairs

    spec, task = asked.bench(asked.task, asked.task_args, k=samples.k, temperature=samples.temperature)
    reworded = read_pairs(pairs, task.problems) if pairs else None
    policy = asked.policy(model, asked.revision)
    with on_terminal() as progress:
        result = ask(policy, spec, task, asked.seed, pairs=reworded, progress=progress)
    if asked.json_:
        say(asked.document(model, task, result))
        return
    say(shift_table("wording", result.shifts))
    say("")
    for name, (before, after) in result.examples.items():
        say(f"{name}: {example(before, after)}")
    if result.left_out:
        say(f"{result.left_out} problems have no other words and are left out.")


@probe.command
def contamination(
    model: str,
    *,
    asked: Asked,
    clean: str | None = None,
    clean_args: Annotated[Arguments | None, Parameter(name="--clean.args")] = None,
    fraction: Annotated[tuple[float, ...], Parameter(negative="")] = (),
    twins: int = 8,
    reference: str | None = None,
    reference_revision: str | None = None,
    dummy: str = "?",
) -> None:
    """Ask whether the model knows questions by heart: partial prompts, log-probabilities, answers without questions.

    Args:
        model: A Hugging Face model directory, or a hub id.
        clean: A task of problems like these that cannot have leaked, to compare with.
        clean_args: Parameters of that task.
        fraction: How much of each question is given to be completed; repeat for more; 0.4, 0.6 and 0.8 unless given.
        twins: Copies with other numbers that each question is held against.
        reference: A model that cannot have read the questions, such as an earlier checkpoint, to compare with.
        reference_revision: A commit, tag or branch of that model on the hub.
        dummy: What is asked instead of the question, to see what the answer alone gives away.
    """
    from spurious.probes.contamination import FRACTIONS, Settings, Subset
    from spurious.probes.contamination import contamination as ask
    from spurious.progress import on_terminal

    settings = Settings(fraction or FRACTIONS, twins, dummy, asked.max_tokens)
    spec, task = asked.bench(asked.task, asked.task_args)
    suspected, others = Subset(spec.task, task), None
    if clean is not None:
        clean_spec, clean_task = asked.bench(clean, clean_args)
        others = Subset(clean_spec.task, clean_task)
    policy = asked.policy(model, asked.revision)
    other = asked.policy(reference, reference_revision) if reference else None
    with on_terminal() as progress:
        result = ask(policy, suspected, others, asked.seed, settings, reference=other, progress=progress)
    if asked.json_:
        say(asked.document(model, task, result))
        return
    say(
        columns(
            {"measure": one.name, "suspected": shown(one.name, one.suspected)}
            | (
                {
                    "clean": shown(one.name, one.clean),
                    "difference": shown(one.name, one.difference),
                    "p (Holm)": f"{one.p_holm:.2g}",
                }
                if one.clean and one.difference
                else {}
            )
            for one in result.measures
        )
    )
    say(
        f"\n{result.n_suspected} suspected and {result.n_clean} clean problems; shares in %, log-probabilities in nats."
    )


def shown(name: str, one: "Level") -> str:
    """A mean with its 95 % interval: shares in percent, log-probabilities and lengths as they are."""
    from spurious.probes.contamination import in_nats

    plain_number = name == "tokens" or in_nats(name)
    numbers = [f"{value:.2f}" if plain_number else percent(value) for value in (one.mean, *(one.interval or ()))]
    return numbers[0] + (f" [{numbers[1]}, {numbers[2]}]" if one.interval else "")


def shift_table(head: str, shifts: "Sequence[Shift]") -> str:
    """Before, after and the paired change of every metric."""
    return columns(
        {
            head: shift.name if shift.name.isprintable() else repr(shift.name),
            "of": shift.metric,
            "before": shown(shift.metric, shift.change.before),
            "after": shown(shift.metric, shift.change.after),
            "change": shown(shift.metric, shift.change.difference),
            "p (Holm)": f"{shift.p_holm:.2g}",
            "n": str(shift.change.difference.n),
        }
        for shift in shifts
    )


def example(before: str, after: str) -> str:
    """A question and what became of it, on one line."""
    return f"{before!r} becomes {after!r}"
