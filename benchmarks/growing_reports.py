"""Reports of studies of any size, for `growth.py`.

One run of each arm is trained (an organism's body with random weights); its tables, shuffled anew for every seed, then
stand for the runs of the other seeds. Every line is one study's report, made in a process of its own.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from watched import watched

from spurious.organisms import untrained
from spurious.store import Run
from spurious.study.cells import Planned, expand
from spurious.study.launch import run_study
from spurious.study.record import write_study
from spurious.study.spec import StudySpec, resolve

ARMS = {
    "constant": {"role": "placebo", "reward": "constant"},
    "ground truth": {"role": "treatment", "reward": "ground_truth"},
    "format": {"role": "placebo", "reward": "format"},
    "random": {"role": "placebo", "reward": "random"},
    "random without clipping": {
        "role": "control",
        "reward": "random",
        "overrides": {"grpo": {"clip_low": None, "clip_high": None}},
    },
}


def study(model: Path, seeds: int, steps: int) -> StudySpec:
    """Five arms on one model, as large as the studies of the paper's figures are on organisms."""
    return resolve(
        {
            "name": f"seeds{seeds}",
            "question": "How long does a report take?",
            "expectation": "In proportion to its runs.",
            "base": {
                "task": "chain",
                "steps": steps,
                "grpo": {"prompts_per_rollout": 8, "group_size": 16},
                "sampling": {"max_tokens": 32},
            },
            "arms": ARMS,
            "models": {"untrained": str(model)},
            "seeds": seeds,
            "benches": [
                {"task": "chain", "max_tokens": 32},
                {
                    "task": {"name": "chain", "args": {"steps": 5}, "limit": 30},
                    "k": 8,
                    "max_tokens": 32,
                    "name": "five",
                },
            ],
            "primary": "accuracy@final on chain",
            "compare": {
                "ground truth": "random",
                "format": "constant",
                "random": ["constant", "random without clipping"],
            },
        }
    )


def stand_in(one: Planned, template: Path, seed: int) -> None:
    """Write the run of a cell with the tables of another run of its arm."""
    assert one.cell.directory is not None
    with Run(one.cell.directory, one.identity) as run:
        if run.done:
            return
        for row in pl.read_ndjson(template / "metrics.jsonl").to_dicts():
            run.write_metrics(row)
        for path in sorted((template / "rollouts").glob("*.parquet")):
            run.write_rollouts(int(path.stem), _shuffled(pl.read_parquet(path), seed))
        for path in sorted((template / "evals").glob("*.parquet")):
            step, _, bench = path.stem.partition("-")
            run.write_eval(int(step), bench, _shuffled(pl.read_parquet(path), seed))
        run.finish()


def _shuffled(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """What was answered, moved to other problems."""
    asked = ["step", "problem_id", "kind", "copy", "sample", "prompt", "answer"]
    answers = rows.drop(asked).sample(fraction=1.0, shuffle=True, seed=seed)
    return pl.concat([rows.select(asked), answers], how="horizontal").select(rows.columns)


def made(store: Path, model: Path, seeds: int, steps: int) -> StudySpec:
    """A store that holds the whole study."""
    first = study(model, 1, steps)
    assert run_study(first, store).complete
    templates = {one.cell.arm: one.cell.directory for one in expand(first, store)}
    whole = study(model, seeds, steps)
    planned = expand(whole, store)
    for one in planned:
        template = templates[one.cell.arm]
        assert template is not None
        if one.cell.seed:
            stand_in(one, template, one.cell.seed)
    write_study(store, whole, [one.cell for one in planned], len(planned))
    return whole


def reported(store: Path, whole: StudySpec) -> dict[str, Any]:
    """Seconds, largest memory and size of one report."""
    page = store / "report.html"
    seconds, memory = watched(["report", store / "studies" / whole.name, "--out", page])
    runs = len(ARMS) * len(whole.seeds)
    return {"runs": runs, "seconds": seconds, "MB": page.stat().st_size / 1e6, "largest memory, MB": memory / 1e6}


def growing(sizes: Sequence[int], steps: int) -> list[dict[str, Any]]:
    """One line a size: the report of a study of so many runs."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        model = untrained(store / "model", "qwen2")
        return [reported(store, made(store, model, runs // len(ARMS), steps)) for runs in sorted(sizes)]
