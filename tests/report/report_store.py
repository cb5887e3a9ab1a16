"""A small study on disk, written through the store itself, whose numbers are known: no model, no training."""

from pathlib import Path

from spurious.grpo.operators import effective_operators
from spurious.keys import key, uniforms
from spurious.report import Cell, Declared, Material, Outcome, gather
from spurious.specs import BenchSpec, GrpoSpec, LabelSpec, RewardSpec, RunSpec, TaskSpec
from spurious.store import Identity, Run
from spurious.store.tables import COMPLETION_COLUMNS, ROLLOUT_COLUMNS, frame

STEPS = 12
PROBLEMS = 40
ARMS = {"ground truth": "treatment", "random": "placebo", "random, no clip": "control"}
MODELS = ("good-code", "no-code")
SEEDS = (0, 1, 2)
HOSTILE = (
    '</script><script>window.pwned = 1</script><img src=x onerror="window.pwned = 2"> '
    "<b>bold?</b> &amp; \u2028 \u2029 \x00\x07\x1b[31m \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")
)
GAINS = {
    ("good-code", "ground truth"): 16,
    ("good-code", "random"): 4,
    ("good-code", "random, no clip"): 0,
    ("no-code", "ground truth"): 8,
    ("no-code", "random"): 0,
    ("no-code", "random, no clip"): -2,
}
"""Problems that seed 0 solves more after training than before; other seeds solve one more or fewer."""
BASE = {"good-code": 16, "no-code": 10}
"""Problems that are solved before training, the same in every seed."""
CLIPS = {"random, no clip": GrpoSpec(clip_low=None, clip_high=None)}


def spec(arm: str, model: str, seed: int) -> RunSpec:
    return RunSpec(
        model=f"organisms/{model}",
        task=TaskSpec(name="chain"),
        reward=RewardSpec(name="ground_truth" if arm == "ground truth" else "random"),
        label=LabelSpec(),
        grpo=CLIPS.get(arm, GrpoSpec()),
        benches=(BenchSpec(task=TaskSpec(name="chain")), BenchSpec(task=TaskSpec(name="chain"), k=4)),
        steps=STEPS,
        seed=seed,
    )


def solved(arm: str, model: str, seed: int, step: int) -> int:
    gain = GAINS[model, arm] + (seed - 1 if GAINS[model, arm] else 0)
    return BASE[model] + round(gain * step / STEPS)


def completion(step: int, problem: int, right: bool, code: bool, text: str) -> dict:
    return {
        "step": step,
        "problem_id": f"p{problem:02d}",
        "kind": "",
        "copy": 0,
        "sample": 0,
        "prompt": f"Question: what is {problem} + {problem}?\n",
        "text": text,
        "n_tokens": 20 + problem % 7,
        "stop": "eos",
        "answer": str(2 * problem),
        "grade": "correct" if right else ("absent" if problem % 9 == 0 else "wrong"),
        "extracted": str(2 * problem if right else 7),
        "strict_grade": "correct" if right else "wrong",
        "logprob": -12.5,
        "behavior/code_reasoning": float(code),
    }


def eval_rows(arm: str, model: str, seed: int, step: int) -> list[dict]:
    """The first problems are solved; good-code answers half of them in code at first, and ever more later."""
    right = solved(arm, model, seed, step)
    coded = round(PROBLEMS * (0.5 + 0.4 * step / STEPS)) if model == "good-code" else 0
    return [completion(step, i, i < right, i % PROBLEMS < coded, "") for i in range(PROBLEMS)]


def sampled_rows(arm: str, model: str, seed: int, step: int) -> list[dict]:
    """Ten problems, four samples each: problem i has min(4, i) right ones, and one fewer after training."""
    return [
        {**completion(step, i, s < min(4, i) - (step > 0), s % 2 == 0, ""), "sample": s}
        for i in range(10)
        for s in range(4)
    ]


def rollout_rows(arm: str, model: str, seed: int, step: int) -> list[dict]:
    rows = []
    share = solved(arm, model, seed, step) / PROBLEMS
    for i, u in enumerate(uniforms(key(seed, "synthetic", step), 16)):
        right = bool(u < share)
        coded = model == "good-code" and u < 0.5 + 0.4 * step / STEPS
        way = f"```python\nx = {i} + {i}\nprint(x)\n```" if coded else f"We add {i} and {i}."
        text = HOSTILE if i == 1 else f"{way}\nThe answer is \\boxed{{{2 * i if right else 7}}}."
        paid = float(right) if arm == "ground truth" else float(i % 2)
        more = {"label": str(2 * i), "reward": paid, "advantage": paid - 0.5, "mean_token_probability": 0.8}
        rows.append({**completion(step, i, right, coded, text), **more})
    return rows


def metrics(arm: str, model: str, seed: int, step: int) -> dict:
    noise = float(uniforms(key(seed, arm, model, step), 1)[0]) - 0.5
    accuracy = solved(arm, model, seed, step) / PROBLEMS + 0.08 * noise
    clipped = 0.0 if arm in CLIPS else 0.004 + 0.002 * noise
    histogram = [0.0] * 35
    for bin, count in ((14, 2), (15, 30), (16, 400), (17, 4000), (18, 380), (19, 25), (20, 1)):
        histogram[bin] = float(count)
    right = max(0.0, min(1.0, accuracy))
    return {
        "step": step,
        "reward/mean": accuracy if arm == "ground truth" else 0.5 + 0.02 * noise,
        "truth/accuracy": accuracy,
        "grade/correct": right,
        **{f"grade/{name}": 0.0 for name in ("absent", "unparsable", "limit", "timeout", "failed")},
        "grade/wrong": 1 - right,
        "tokens/mean_length": 30 - 0.2 * step + noise,
        "ratio/histogram": histogram,
        "ratio/clip_fraction_low": clipped,
        "ratio/clip_fraction_high": 0.6 * clipped,
        "clip_bias/expected_low": 0.1 * clipped,
        "clip_bias/expected_high": -0.05 * clipped,
        "probability/mean": 0.75 + 0.004 * step + 0.01 * noise,
        "entropy/mean": 0.6 - 0.01 * step + 0.01 * noise,
        "kl/to_start": 0.0002 * step,
        "groups/signal": 0.0 if step in (3, 4) else 0.5 + 0.3 * noise,
        "update/norm": 0.01 if step in (3, 4) else 0.05 + 0.01 * noise,
        "tokens/truncated": 0.0,
    }


def write_run(store: Path, arm: str, model: str, seed: int, *, until: int | None = None) -> Cell:
    """One run; with `until` it stops there, unfinished and failed."""
    run_spec = spec(arm, model, seed)
    fingerprint = f"{key(arm, model, seed) % 16**8:08x}"
    facts = {
        "operators": effective_operators(run_spec.grpo),
        "reward_source": None,
        "labels": {"kept": 512, "of": 512, "dropped": {}},
        "environment": {"versions": {"spurious": "0.1.0"}, "commit": {"id": "0" * 40, "dirty": False}, "cores": 2},
    }
    identity = Identity(fingerprint, run_spec.model_dump(mode="json"), {"task": "0" * 64}, facts)
    directory = store / f"{arm.replace(' ', '-')}--{model}--s{seed}--{fingerprint}"
    failed = until is not None
    try:
        with Run(directory, identity) as run:
            for step in range(STEPS if until is None else until):
                run.write_metrics(metrics(arm, model, seed, step))
                rows = rollout_rows(arm, model, seed, step)
                run.write_rollouts(step, frame(rows, COMPLETION_COLUMNS | ROLLOUT_COLUMNS))
            for step in (0,) if failed else (0, STEPS // 2, STEPS):
                run.write_eval(step, "chain", frame(eval_rows(arm, model, seed, step), COMPLETION_COLUMNS))
            for step in (0,) if failed else (0, STEPS):
                run.write_eval(step, "chain-k4", frame(sampled_rows(arm, model, seed, step), COMPLETION_COLUMNS))
            if failed:
                raise ArithmeticError("loss: 3 of 512 not finite <script>window.pwned = 3</script>")
            run.finish()
    except ArithmeticError as error:
        return Cell(arm, ARMS[arm], model, seed, fingerprint, directory, "failed", f"ArithmeticError: {error}")
    return Cell(arm, ARMS[arm], model, seed, fingerprint, directory, "done")


DECLARED = Declared(
    name="synthetic",
    question="Does a true reward teach more than a coin does?",
    expectation="On good-code both help, the true reward more; on no-code only the true reward does.",
    outcome=Outcome("accuracy", "final", "chain"),
    pairs=(("ground truth", "random"),),
    margin=0.05,
    text="name: synthetic\nquestion: Does a true reward teach more than a coin does?\n",
    command="spurious study run studies/synthetic.yaml",
)


def study(store: Path, seeds=SEEDS) -> Material:
    """The whole grid, complete."""
    wanted = [(arm, model, seed) for seed in seeds for model in MODELS for arm in ARMS]
    return gather(DECLARED, [write_run(store, *one) for one in wanted])


def interrupted(store: Path, complete: Material) -> Material:
    """The same grid, but its last cell has failed at step 5 and the one before it is owed."""
    *done, owed, failed = complete.cells
    owed = Cell(owed.arm, owed.role, owed.model, owed.seed, "", None, "owed")
    return gather(DECLARED, [*done, owed, write_run(store, failed.arm, failed.model, failed.seed, until=5)])
