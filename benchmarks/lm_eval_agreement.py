"""lm-eval beside our evaluation: the same checkpoint, the same problems, greedy; and both graders on the same texts.

    python benchmarks/lm_eval_agreement.py [MODEL] [--problems 500] [--max-tokens 64] [--out FOLDER]

MODEL is the directory of an organism, or of a checkpoint that was trained from one; by default good-code, which is
built first. Needs lm-eval (`pip install 'lm-eval[hf]==0.4.13'`), and says so where it is missing. lm-eval loads the
directory as it is, is asked by a task file that is written here (chain, held-out part), and logs its completions, which
`spurious.engines.read` reads back. Printed as one JSON document:

    texts      completions that are the same to the last character in lm-eval and in our sampler
    graders    for each way to find the answer, how many of lm-eval's completions both call right, and every one that
               only one of them does, with the reason
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from spurious.engines.read import read
from spurious.evaluate import evaluate, open_bench
from spurious.organisms import build
from spurious.policy import TorchSampler, load, prepare_process
from spurious.specs import BenchSpec, TaskSpec
from spurious.tasks import load_bench
from spurious.verify import extract

NO_MATCH = "[invalid]"
"""What lm-eval's regular expression filter gives where nothing matches."""


@dataclass(frozen=True)
class Way:
    """One way to find an answer, in lm-eval's words and in ours."""

    pattern: str
    """lm-eval takes the last match."""
    extraction: str
    column: str
    """Where `read` writes our grade."""


WAYS = {
    "box": Way(r"\\boxed\{([^{}]*)\}", "strict", "strict_grade"),
    "number": Way(r"(-?[0-9]+)", "lenient", "grade"),
    "sentence": Way(r"The answer is (\-?[0-9\.\,]+).", "lenient", "grade"),
}
"""The last is what lm-eval's gsm8k_cot asks for, which these models were never told to write."""


def task_file(data: Path, max_tokens: int) -> dict[str, Any]:
    """The task as lm-eval reads it."""
    return {
        "task": "spurious_chain",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["<|endoftext|>"], "max_gen_toks": max_tokens, "do_sample": False},
        "filter_list": [
            {
                "name": name,
                "filter": [
                    {"function": "regex", "regex_pattern": way.pattern, "group_select": -1, "fallback": NO_MATCH},
                    {"function": "take_first"},
                ],
            }
            for name, way in WAYS.items()
        ],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1.0},
    }


def run_lm_eval(model: Path, problems: list[dict[str, str]], max_tokens: int, out: Path) -> Path:
    """Let lm-eval answer the problems; the file of its logged completions."""
    data = out / "problems.json"
    data.write_text(json.dumps(problems), encoding="utf-8")
    (out / "spurious_chain.yaml").write_text(yaml.safe_dump(task_file(data, max_tokens)), encoding="utf-8")
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--tasks", "spurious_chain", "--device", "cpu"]
    command += ["--model_args", f"pretrained={model},dtype=float32", "--batch_size", "16", "--log_samples"]
    command += ["--include_path", str(out), "--output_path", str(out / "results")]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(out / "cache")}
    subprocess.run(command, check=True, env=os.environ | offline, stdout=sys.stderr)
    (log,) = (out / "results").rglob("samples_*.jsonl")
    return log


def their_scores(log: Path) -> dict[str, dict[str, tuple[bool, str]]]:
    """Way -> prompt -> whether lm-eval calls the completion right, and the answer that it read."""
    scores: dict[str, dict[str, tuple[bool, str]]] = {name: {} for name in WAYS}
    for line in log.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        scores[row["filter"]][row["doc"]["prompt"]] = (row["exact_match"] == 1, row["filtered_resps"][0])
    return scores


def compared(name: str, rows: pl.DataFrame, theirs: Mapping[str, tuple[bool, str]]) -> dict[str, Any]:
    """Both graders on lm-eval's completions."""
    way = WAYS[name]
    differing = []
    both = 0
    for row in rows.iter_rows(named=True):
        right, read_there = theirs[row["prompt"]]
        ours = row[way.column] == "correct"
        both += right and ours
        if right != ours:
            here = extract(row["text"], way.extraction)
            why = reason(read_there, here)
            differing.append(
                {"why": why, "lm-eval": read_there, "ours": here, **{k: row[k] for k in ("answer", "text")}}
            )
    ours_right = int((rows[way.column] == "correct").sum())
    return {
        "lm-eval": sum(right for right, _ in theirs.values()) / rows.height,
        "ours": ours_right / rows.height,
        "both_right": both,
        "agree": rows.height - len(differing),
        "reasons": dict(Counter(one["why"] for one in differing)),
        "differing": differing,
    }


def reason(theirs: str, ours: str | None) -> str:
    """Why two graders disagree about one completion: what each took for the answer, or how it was compared."""
    if theirs == NO_MATCH:
        return "lm-eval's pattern finds no answer"
    if ours is None:
        return "our rules find no answer"
    if theirs != ours:
        return "they read different parts of the text"
    return "the same answer: lm-eval compares its characters, we its value"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if importlib.util.find_spec("lm_eval") is None:
        print("lm-eval is not installed, so nothing is compared; pip install 'lm-eval[hf]==0.4.13'", file=sys.stderr)
        return
    out = given.out or Path(tempfile.mkdtemp(prefix="lm-eval-"))
    out.mkdir(parents=True, exist_ok=True)
    prepare_process()
    model = given.model or build("good-code", out / "good-code")
    policy = load(str(model))
    spec, task = load_bench(BenchSpec(task=TaskSpec(name="chain", limit=given.problems), max_tokens=given.max_tokens))
    ours = evaluate(TorchSampler(policy), open_bench(spec, task, policy), 0)
    problems = [{"prompt": row["prompt"], "answer": row["answer"]} for row in ours.iter_rows(named=True)]
    log = run_lm_eval(model.resolve(), problems, given.max_tokens, out)
    (logged,) = read(log)
    both = logged.rows.join(ours.select("prompt", pl.col("text").alias("our_text")), on="prompt", validate="1:1")
    scores = their_scores(log)
    found = {
        "problems": both.height,
        "texts": int((both["text"] == both["our_text"]).sum()),
        "differing_texts": both.filter(pl.col("text") != pl.col("our_text"))
        .select("prompt", "text", "our_text")
        .to_dicts(),
        "graders": {name: compared(name, both, scores[name]) for name in WAYS},
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
