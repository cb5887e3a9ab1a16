"""`spurious train`: one run."""

import json
import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from spurious.cli.words import Arguments, benches, named, plain
from spurious.specs import GrpoSpec, LabelSpec, PolicySpec, RewardSpec, RunSpec, SamplingSpec, TaskSpec, TrlSpec
from spurious.terminal import say


def train(
    *,
    model: str,
    task: str,
    reward: str,
    steps: int,
    out: Path | None = None,
    store: Path = Path("runs"),
    seed: int = 0,
    label: str = "true",
    reward_args: Annotated[Arguments | None, Parameter(name="--reward.args")] = None,
    label_args: Annotated[Arguments | None, Parameter(name="--label.args")] = None,
    task_args: Annotated[Arguments | None, Parameter(name="--task.args")] = None,
    template: str = "auto",
    limit: int | None = None,
    data: Path | None = None,
    bench: tuple[str, ...] = (),
    bench_args: Annotated[Arguments | None, Parameter(name="--bench.args")] = None,
    eval_limit: int | None = None,
    grpo: GrpoSpec = GrpoSpec(),
    sampling: SamplingSpec = SamplingSpec(),
    eval_every: int | None = None,
    save_every: int | None = None,
    dtype: str = "float32",
    token_budget: int = 16384,
    sampling_rows: int = 512,
    extraction: str = "strict",
    measure_kl: bool = True,
    revision: str | None = None,
    policy: PolicySpec = PolicySpec(),
    engine: str = "own",
    trl: TrlSpec = TrlSpec(),
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Train a model with GRPO under one reward. Run again after any interruption, it goes on to the same bytes.

    Args:
        model: A Hugging Face model directory, or a hub id.
        task: chain, calculation, math500, amc, aime24, aime25, deepscaler, gym:NAME, or a JSON, JSONL or parquet file.
        reward: A built-in name, FILE.py:FUNCTION, or a combination as JSON: '{"all_of": ["format", "no_python"]}'.
        steps: Rollout batches.
        out: The run directory; by default one below the store, named after arm, model, seed and fingerprint.
        store: Where runs are kept when no directory is given.
        label: What the reward is told: true, majority, nth_vote, least_common, incorrect_only, near, far, shuffled,
            noise.
        reward_args: Parameters of the reward, such as --reward.args.gamma 0.3.
        template: A prompt template; auto asks the task and the tokenizer.
        limit: Train on only the first so many problems.
        data: A folder with local copies of the data sets, instead of the hub.
        bench: A benchmark to evaluate at step 0 and at the end, by task name; repeat for more.
        bench_args: Parameters of the benchmarks' tasks, such as --bench.args.split test.
        eval_limit: Use only the first so many problems of each benchmark.
        engine: own, or trl: TRL's GRPOTrainer, also in the many processes that torchrun starts.
        dry_run: Say instead what the run takes of a device's memory; nothing is loaded or written.
        json_: Print one JSON document with the outcome, and nothing else, to standard output.
    """
    task_spec = TaskSpec(name=task, args=plain(task_args), template=template, limit=limit)
    spec = RunSpec(
        model=model,
        revision=revision,
        task=task_spec,
        reward=named(RewardSpec, reward, reward_args),
        label=named(LabelSpec, label, label_args),
        grpo=grpo,
        sampling=sampling,
        benches=benches(bench, bench_args, limit=eval_limit, template=template, max_tokens=sampling.max_tokens),
        steps=steps,
        seed=seed,
        eval_every=eval_every,
        save_every=save_every,
        dtype=dtype,
        token_budget=token_budget,
        sampling_rows=sampling_rows,
        extraction=extraction,
        measure_kl=measure_kl,
        policy=policy,
        engine=engine,
        trl=trl,
    )
    if dry_run:
        from spurious.cli.scale import show
        from spurious.study.scale import scale_run

        show([scale_run(spec)], as_json=json_)
        return
    from spurious.cli.scale import say_memory
    from spurious.cli.tables import gains, scores_by_step
    from spurious.progress import on_terminal
    from spurious.training import train as run_training

    with on_terminal() as progress:
        directory = run_training(spec, out, store=store, data_dir=data, progress=progress, opened=say_memory)
    if int(os.environ.get("RANK", "0")):
        return  # the first of several processes says it
    if json_:
        say(json.dumps({"directory": str(directory), "evals": scores_by_step(directory)}, indent=2))
    else:
        say(directory)
        say(gains(scores_by_step(directory)))
