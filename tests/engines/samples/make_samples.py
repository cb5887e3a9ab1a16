"""How the samples beside this file were made: `python make_samples.py ORGANISM OUT`, with trl, lm-eval and verl.

ORGANISM is a directory written by `spurious organism build good-code`. Nothing in the tests runs this.
"""

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from spurious.specs import TaskSpec
from spurious.tasks import load_task
from spurious.tasks.prompts import word

TASK = """
task: chain_sample
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_text: "{{prompt}}"
doc_to_target: "{{answer}}"
repeats: 2
generation_kwargs: {until: ["<eos>"], max_gen_toks: 96, do_sample: true, temperature: 1.0}
filter_list:
  - {name: first, filter: [{function: take_first}]}
  - {name: boxed, filter: [{function: regex, regex_pattern: "boxed.(-?[0-9]+)"}, {function: take_first}]}
metric_list: [{metric: exact_match}]
"""


def problems(n: int) -> list[dict[str, str]]:
    task = load_task(TaskSpec(name="chain", args={"size": n, "steps": 4}))
    return [
        {"prompt": word(problem.question, task.template, None).text, "answer": problem.answer}
        for problem in task.problems
    ]


def log_answers(completions, answer, log_extra, **kwargs) -> list[float]:
    """A reward for the right answer that also writes the true answers into TRL's table."""
    from spurious.verify import verify_many

    log_extra("answer", list(answer))
    texts = [text if isinstance(text, str) else text[-1]["content"] for text in completions]
    return [float(grade.correct) for grade in verify_many(list(zip(texts, answer, strict=True)), extraction="strict")]


def trl(organism: str, out: Path, *, steps: int, iterations: int, chat: bool) -> None:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    rows = problems(8)
    if chat:
        rows = [row | {"prompt": [{"role": "user", "content": row["prompt"]}]} for row in rows]
    config = GRPOConfig(
        output_dir=str(out / "run"),
        max_steps=steps,
        num_iterations=iterations,
        num_generations=4,
        per_device_train_batch_size=8,
        max_completion_length=96,
        learning_rate=1e-4,
        log_completions=True,
        logging_steps=1,
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        report_to="none",
    )
    GRPOTrainer(organism, log_answers, config, Dataset.from_list(rows)).train()
    shutil.copytree(out / "run" / "completions", out / "completions")
    shutil.rmtree(out / "run")


def lm_eval(organism: str, out: Path) -> None:
    out.mkdir(parents=True)
    data = out / "chain.json"
    data.write_text(json.dumps(problems(4)))
    (out / "chain_sample.yaml").write_text(TASK.replace("DATA", str(data)))
    arguments = ["--model", "hf", "--model_args", f"pretrained={organism},dtype=float32", "--tasks", "chain_sample"]
    arguments += ["--include_path", str(out), "--log_samples", "--output_path", str(out / "results"), "--device", "cpu"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(out / "cache")}
    subprocess.run([sys.executable, "-m", "lm_eval", *arguments], check=True, env=os.environ | offline)
    (log,) = (out / "results").rglob("samples_*.jsonl")
    shutil.copy(log, out / "samples_chain_sample.jsonl")


def verl(completions: Path, out: Path) -> None:
    """Write the texts of a TRL log by verl's own function, read from its source: verl itself needs a cluster."""
    import polars as pl

    (root,) = importlib.util.find_spec("verl").submodule_search_locations
    tree = ast.parse((Path(root) / "trainer" / "ppo" / "ray_trainer.py").read_text())
    (function,) = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "_write_generations"
    ]
    function.decorator_list = []
    scope = {"os": os, "json": json}
    exec(compile(ast.Module([function], []), "verl", "exec"), scope)
    table = pl.read_parquet(completions)
    columns = [table[name].to_list() for name in ("prompt", "completion", "answer", "log_answers")]
    scope["_write_generations"](*columns, {"acc": table["log_answers"].to_list()}, str(out), 1)


if __name__ == "__main__":
    organism, target = sys.argv[1], Path(sys.argv[2]).resolve()
    trl(organism, target / "trl", steps=4, iterations=2, chat=False)
    trl(organism, target / "trl-chat", steps=1, iterations=1, chat=True)
    lm_eval(organism, target / "lm-eval")
    verl(target / "trl" / "completions" / "completions_00001.parquet", target / "verl")
