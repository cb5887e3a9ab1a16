"""lighteval beside our evaluation: the same checkpoint, the same problems, greedy; and both graders on the same texts.

    python benchmarks/lighteval_agreement.py PYTHON [MODEL] [--problems 500] [--max-tokens 64] [--out FOLDER]

PYTHON is the interpreter of an environment that has lighteval: it asks for an older latex2sympy2_extended than our
grader and cannot be installed beside us (`python -m venv theirs && theirs/bin/pip install lighteval==0.13.0
transformers==5.23.0`). MODEL is as for lm_eval_agreement.py. lighteval loads the directory as it is, is asked by a task
file that is written here, and its details are read back. Printed as one JSON document: `texts`, and `graders` with
every completion that only one of both calls right.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from spurious.evaluate import evaluate, open_bench
from spurious.organisms import build
from spurious.policy import TorchSampler, load, prepare_process
from spurious.specs import BenchSpec, TaskSpec
from spurious.tasks import load_bench
from spurious.verify import extract, verify_many

TASK = """
from lighteval.metrics.metrics import Metrics
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc


def asked(line, task_name=None):
    return Doc(task_name=task_name, query=line["prompt"], choices=[line["answer"]], gold_index=0)


TASKS_TABLE = [
    LightevalTaskConfig(
        name="spurious_chain",
        prompt_function=asked,
        hf_repo={data!r},
        hf_subset="default",
        hf_avail_splits=["test"],
        evaluation_splits=["test"],
        generation_size={max_tokens},
        metrics=[Metrics.expr_gold_metric, Metrics.pass_at_k_math(sample_params={{"k": 1, "n": 1}})],
        stop_sequence=[],
    )
]
"""
"""Its graders are those of lighteval's gsm8k and math_500."""
DRIVER = """
import sys

from lighteval.tasks.registry import Registry

Registry._load_from_files = staticmethod(lambda *_: {})
Registry._load_from_subdirs = staticmethod(lambda *_: {})

from lighteval.main_accelerate import accelerate

model, tasks, out = sys.argv[1:]
accelerate(model, "spurious_chain|0", custom_tasks=tasks, output_dir=out, save_details=True)
"""
"""`lighteval accelerate` without its own tasks: to import them all asks the network for a file, and the hub for a list
of models, in words that the hub's client of transformers 5 does not know any more."""
GRADERS = {"gsm8k": "extractive_match", "math_500": "pass@k:k=1&n=1"}
EXTRACTIONS = ("strict", "lenient")


def run_lighteval(python: Path, model: Path, problems: pl.DataFrame, max_tokens: int, out: Path) -> Path:
    """Let lighteval answer the problems; the parquet file of its details."""
    data = out / "data"
    data.mkdir()
    problems.write_ndjson(data / "test.jsonl")
    (out / "spurious_chain.py").write_text(TASK.format(data=str(data), max_tokens=max_tokens), encoding="utf-8")
    (out / "driver.py").write_text(DRIVER, encoding="utf-8")
    told = f"model_name={model},dtype=float32,batch_size=16,override_chat_template=False,add_special_tokens=False"
    command = [python, out / "driver.py", told, out / "spurious_chain.py", out / "results"]
    ours = ("PYTHONPATH", "PYTHONHOME")
    outside = {name: value for name, value in os.environ.items() if name not in ours}
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(out / "cache")}
    subprocess.run(command, check=True, env=outside | offline, stdout=sys.stderr)
    (details,) = (out / "results").rglob("details_*.parquet")
    return details


def their_rows(details: Path) -> pl.DataFrame:
    """Prompt, completion, and each grader's score."""
    rows = [
        {
            "prompt": row["doc"]["query"],
            "text": row["model_response"]["text"][0],
            **{name: row["metric"][key] == 1 for name, key in GRADERS.items()},
        }
        for row in pl.read_parquet(details).iter_rows(named=True)
    ]
    return pl.DataFrame(rows)


def compared(rows: pl.DataFrame, grader: str, extraction: str) -> dict[str, Any]:
    """One grader of lighteval's and one rule of ours on lighteval's completions."""
    grades = verify_many(list(rows.select("text", "answer").iter_rows()), extraction=extraction)
    differing = [
        {
            "lighteval": theirs,
            "ours": ours.status,
            "ours_read": extract(text, extraction),
            "answer": answer,
            "text": text,
        }
        for theirs, ours, text, answer in zip(rows[grader], grades, rows["text"], rows["answer"], strict=True)
        if theirs != ours.correct
    ]
    return {
        "lighteval": float(rows[grader].mean()),
        "ours": sum(grade.correct for grade in grades) / rows.height,
        "agree": rows.height - len(differing),
        "reasons": dict(Counter("lighteval only" if one["lighteval"] else f"ours: {one['ours']}" for one in differing)),
        "differing": differing,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", type=Path, nargs="?")
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.python is None:
        print("no environment with lighteval was named, so nothing is compared; see --help", file=sys.stderr)
        return
    out = (given.out or Path(tempfile.mkdtemp(prefix="lighteval-"))).resolve()
    out.mkdir(parents=True, exist_ok=True)
    prepare_process()
    model = given.model or build("good-code", out / "good-code")
    policy = load(str(model))
    spec, task = load_bench(BenchSpec(task=TaskSpec(name="chain", limit=given.problems), max_tokens=given.max_tokens))
    ours = evaluate(TorchSampler(policy), open_bench(spec, task, policy), 0).select("prompt", "answer", "text")
    asked = ours.select("prompt", "answer")
    details = run_lighteval(given.python.absolute(), model.resolve(), asked, given.max_tokens, out)
    both = ours.rename({"text": "our_text"}).join(their_rows(details), on="prompt", validate="1:1")
    found = {
        "problems": both.height,
        "texts": int((both["text"] == both["our_text"]).sum()),
        "differing_texts": both.filter(pl.col("text") != pl.col("our_text"))
        .select("prompt", "text", "our_text")
        .to_dicts(),
        "graders": {
            grader: {extraction: compared(both, grader, extraction) for extraction in EXTRACTIONS} for grader in GRADERS
        },
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
