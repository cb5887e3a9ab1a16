"""`spurious audit`: a reward beside its matched placebos, and one word about it."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from spurious.cli.study import run_owed
from spurious.cli.words import Arguments, columns, named, percent, plain
from spurious.errors import SpecError
from spurious.specs import BenchSpec, GrpoSpec, RewardSpec, SamplingSpec, TaskSpec
from spurious.terminal import say

if TYPE_CHECKING:
    from spurious.study.audit import Conclusion


def audit(
    *,
    reward: str,
    out: Path = Path("runs"),
    name: str = "",
    model: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    task: str = "chain",
    task_args: Annotated[Arguments | None, Parameter(name="--task.args")] = None,
    reward_args: Annotated[Arguments | None, Parameter(name="--reward.args")] = None,
    bench: str = "",
    seeds: int = 10,
    first_seed: int = 0,
    steps: int = 20,
    stop_when_decided: Annotated[bool, Parameter(negative="")] = False,
    prompt: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    grpo: GrpoSpec = GrpoSpec(),
    sampling: SamplingSpec = SamplingSpec(),
    jobs: str = "auto",
    data: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Judge a reward: earned, elicited, indistinguishable, worse or underpowered, against its own rewards shuffled.

    Trains every model under the reward, under the reward's own values shuffled within each group, under a coin of the
    same rate, for format, for nothing, and for the truth, with the same seeds. Run again, it goes on where it stopped.

    Args:
        reward: FILE.py:FUNCTION, a built-in name, or a combination as JSON.
        out: The store of the runs; the audit's folder is OUT/studies/NAME.
        name: Of the audit; by default made from the reward's.
        model: Directories, hub ids or organisms, several; by default the three organisms, whose priors are opposed.
        task: What is trained on, as for `spurious train`.
        reward_args: Parameters of the reward, such as --reward.args.gamma 0.3.
        bench: Where accuracy is measured; by default the task, of its held-out part where it has one.
        seeds: How many runs of every arm on every model.
        first_seed: The first of them.
        steps: Rollout batches of every run.
        stop_when_decided: Look at two, three and four fifths of the seeds too and stop when the verdict is plain; all
            looks share one error.
        prompt: An opening of the model's turn to try without training; repeat for more.
        jobs: Runs side by side; auto is one for each core.
        data: A folder with local copies of the data sets, instead of the hub.
        json_: Print one JSON document, its word under "verdict", and nothing else, to standard output.
    """
    from spurious.signals import build_reward
    from spurious.study.audit import ORGANISMS, PROMPTS, declare, look_at
    from spurious.study.audit import audit as run_audit

    if seeds < 1:
        raise SpecError(f"--seeds: {seeds}; there must be one at least")
    audited = named(RewardSpec, reward, reward_args)
    spec = declare(
        audited,
        name=name or f"audit-{build_reward(audited).name}",
        base={
            "task": TaskSpec(name=task, args=plain(task_args)).model_dump(mode="json"),
            "steps": steps,
            "grpo": grpo.model_dump(mode="json"),
            "sampling": sampling.model_dump(mode="json"),
        },
        models=_models(model or ORGANISMS),
        seeds=range(first_seed, first_seed + seeds),
        bench=BenchSpec(task=TaskSpec(name=bench or task), max_tokens=sampling.max_tokens),
    )
    prompts = ("", *prompt) if prompt else PROMPTS
    conclusion = run_audit(
        spec,
        out,
        prompts=prompts,
        looks=look_at(seeds) if stop_when_decided else (),
        data_dir=data,
        run=partial(run_owed, store=out, data=data, jobs=jobs),
    )
    if json_:
        say(json.dumps(conclusion.document(), indent=2))
    else:
        say(_text(conclusion))
    say(out / "studies" / spec.name, file=sys.stderr)


def _models(sources: tuple[str, ...]) -> dict[str, Any]:
    """Models as a study names them.

    Raises:
        SpecError: two would have one name.
    """
    from spurious.study.audit import ORGANISMS

    found: dict[str, Any] = {}
    for source in sources:
        name = Path(source).name
        if name in found:
            raise SpecError(f"--model: two are called {name!r}")
        found[name] = {"organism": source} if source in ORGANISMS else {"source": source}
    return found


def _text(conclusion: "Conclusion") -> str:
    marks = {True: "!", False: " ", None: "?"}
    flags = [f"{marks[flag.raised]} {flag.name}: {flag.text}" for flag in conclusion.flags]
    rows = [
        {"accuracy, %": model, **{arm: percent(value) for arm, value in arms.items()}}
        for model, arms in conclusion.levels.items()
    ]
    return "\n".join([*conclusion.verdict.sentences, "", *flags, "", columns(rows)])
