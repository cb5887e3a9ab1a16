"""`spurious analyze`: one set of completions gives the same numbers wherever it is stored."""

import json
from pathlib import Path

import polars as pl
import pytest

from spurious.behaviors import measure
from spurious.cli import main
from spurious.store import Identity, Run
from spurious.store.tables import BEHAVIOR, COMPLETION_COLUMNS, ROLLOUT_COLUMNS, frame
from spurious.tasks.base import content_id
from spurious.verify import verify

SAMPLES = Path(__file__).parent / "samples"
ONLY_OURS = {"tokens_mean", "tokens_median", "tokens_p90", "truncated"}
"""What no log of texts can tell: token counts and why sampling stopped."""


@pytest.fixture
def analyze(capsys):
    """Call the command in this process and return its one JSON document."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main(["analyze", *map(str, arguments), "--json"])
        captured = capsys.readouterr()
        assert exit.value.code == 0, captured.err
        return json.loads(captured.out)["sources"]

    return call


def our_row(step, copy, sample, prompt, text, answer, reward, advantage):
    """A row as training writes it, without any of the code under test."""
    grade = verify(text, answer)
    return {
        "step": step,
        "problem_id": content_id(prompt, answer),
        "kind": "lamps",
        "copy": copy,
        "sample": sample,
        "prompt": prompt,
        "text": text,
        "n_tokens": len(text) // 2,
        "stop": "eos",
        "answer": answer,
        "grade": grade.status,
        "extracted": grade.extracted,
        "strict_grade": verify(text, answer, "strict").status,
        "logprob": -3.0,
        "label": answer,
        "reward": reward,
        "advantage": advantage,
        **{BEHAVIOR + name: float(value) for name, value in measure(text).items()},
    }


def as_run(logs, directory):
    """Store the completions of TRL's files as a run of ours, a table a step."""
    identity = Identity("0" * 64, {"seed": 0}, {}, {})
    with Run(directory, identity) as run:
        for log in logs:
            rows = pl.read_parquet(log).rows(named=True)
            ours = [
                our_row(
                    r["step"], 0, i % 4, r["prompt"], r["completion"], r["answer"], r["log_answers"], r["advantage"]
                )
                for i, r in enumerate(rows)
            ]
            run.write_rollouts(rows[0]["step"], frame(ours, {**COMPLETION_COLUMNS, **ROLLOUT_COLUMNS}))
    return directory


def assert_same_numbers(ours, theirs):
    assert ours["tables"].keys() == theirs["tables"].keys()
    for name, table in ours["tables"].items():
        other = theirs["tables"][name]
        assert len(table) == len(other) > 0
        for row, same in zip(table, other, strict=True):
            for column in row.keys() | same.keys():
                if column in ONLY_OURS:
                    assert row[column] is not None
                    assert same[column] is None
                else:
                    assert row[column] == pytest.approx(same[column]), (name, column)


def test_our_store_and_trls_own_log_of_the_same_texts_give_the_same_numbers(analyze, tmp_path):
    logs = [SAMPLES / "trl" / f"completions_{number:05d}.parquet" for number in (1, 3)]
    run = as_run(logs, tmp_path / "run")
    # TRL's folder holds each of these two files twice, under another step.
    (ours, theirs) = analyze(run, SAMPLES / "trl")
    assert (ours["format"], theirs["format"]) == ("own", "trl")
    assert (ours["repeated_rows_dropped"], theirs["repeated_rows_dropped"]) == (0, 16)
    assert ours["rows"] == theirs["rows"] == 16
    assert_same_numbers(ours, theirs)
    strategy = ours["tables"]["strategy"]
    assert any(0 < row["accuracy"] < 1 and 0 < row["code"] < 1 for row in strategy)


def test_a_table_of_ours_on_its_own_gives_the_numbers_of_its_run(analyze, tmp_path):
    run = as_run([SAMPLES / "trl" / "completions_00001.parquet"], tmp_path / "run")
    (whole, alone) = analyze(run, run / "rollouts" / "000001.parquet")
    assert whole["tables"] == alone["tables"]


def test_every_run_below_a_folder_is_tabulated_apart(analyze, tmp_path):
    for number in (1, 3):
        as_run([SAMPLES / "trl" / f"completions_{number:05d}.parquet"], tmp_path / "store" / f"run{number}")
    sources = analyze(tmp_path / "store")
    assert [source["tables"]["strategy"][0]["step"] for source in sources] == [1, 3]


def test_verl_and_trl_logs_of_the_same_texts_give_the_same_numbers(analyze):
    trl, verl = analyze(SAMPLES / "trl" / "completions_00001.parquet", SAMPLES / "verl")
    own, other = ({**one["tables"], "credit": []} for one in (trl, verl))
    assert own == other
    # verl's dump says what was paid and not what advantage was made of it.
    of_advantages = {f"{prefix}{way}" for prefix in ("", "correct_given_") for way in ("encouraged", "discouraged")}
    for row, without in zip(trl["tables"]["credit"], verl["tables"]["credit"], strict=True):
        assert {name for name in row if row[name] != without[name]} == of_advantages


def test_columns_can_be_named_and_errors_are_refusals(capsys, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"asked": "2+2", "said": "\\\\boxed{4}", "doc": {"gold": 4}}\n{"asked": "2+2"}\n')
    for arguments, words in (
        ([path, "--column", "text=said"], "rows.jsonl, row 2: no completion text in said"),
        ([path], "of no known format"),
        ([path, "--column", "said"], "write FIELD=NAME"),
        ([], "ROLLOUTS"),
    ):
        with pytest.raises(SystemExit) as exit:
            main(["analyze", *map(str, arguments)])
        captured = capsys.readouterr()
        assert exit.value.code == 2
        assert captured.out == ""
        assert words in captured.err
    path.write_text(path.read_text().splitlines()[0])
    with pytest.raises(SystemExit) as exit:
        main(
            ["analyze", str(path), "--column", "text=said", "--column", "question=asked", "--column", "answer=doc.gold"]
        )
    assert exit.value.code == 0
    assert "100.0" in capsys.readouterr().out


def test_completions_without_a_true_answer_say_how_to_have_them_graded(capsys, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "2+2", "text": "python"}\n')
    with pytest.raises(SystemExit) as exit:
        main(["analyze", str(path)])
    out = capsys.readouterr().out
    assert exit.value.code == 0
    assert "--column answer=NAME" in out
    assert "100.0" in out  # of code reasoning, which needs no answer


def test_a_terminal_sees_every_table_and_what_was_left_out(capsys):
    with pytest.raises(SystemExit):
        main(["analyze", str(SAMPLES / "trl"), str(SAMPLES / "lm-eval")])
    out = capsys.readouterr().out
    for words in (
        "16 repeated rows left out",
        "strategy, %",
        "behaviors",
        "lengths",
        "grades",
        "rewards",
        "step 3",
        "all",
    ):
        assert words in out
