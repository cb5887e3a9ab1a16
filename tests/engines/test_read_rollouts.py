"""Rollouts of every format read back: what stands in the file, in our words."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.behaviors import BEHAVIORS, measure
from spurious.engines import column_mapping, read
from spurious.errors import DataError, InputError
from spurious.store.tables import BEHAVIOR, COMPLETION_COLUMNS
from spurious.tasks.base import content_id
from spurious.verify import verify

SAMPLES = Path(__file__).parent / "samples"
RIGHT, WRONG = "I think \\boxed{4}.", "python says \\boxed{5}."


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def only(path, **options):
    (rollouts,) = read(Path(path), **options)
    return rollouts


@pytest.mark.parametrize(
    ("folder", "format", "files", "rows", "repeated"),
    [
        ("trl", "trl", 4, 16, 16),
        ("trl-chat", "trl", 1, 8, 0),
        ("lm-eval", "lm-eval", 1, 8, 4),
        ("verl", "verl", 1, 8, 0),
    ],
)
def test_a_file_made_by_the_tool_is_recognized_and_read_whole(folder, format, files, rows, repeated):
    found = only(SAMPLES / folder)
    assert (found.format, found.files, found.rows.height, found.repeated) == (format, files, rows, repeated)
    assert set(COMPLETION_COLUMNS) < set(found.rows.columns)
    assert found.rows["grade"].null_count() == 0
    assert found.rows["problem_id"].null_count() == 0


def test_trl_rows_say_what_its_table_says():
    table = pl.read_parquet(SAMPLES / "trl" / "completions_00001.parquet")
    rows = only(SAMPLES / "trl" / "completions_00001.parquet").rows
    for ours, theirs in (
        ("text", "completion"),
        ("prompt", "prompt"),
        ("answer", "answer"),
        ("reward", "log_answers"),
        ("advantage", "advantage"),
        ("step", "step"),
    ):
        assert rows[ours].to_list() == table[theirs].to_list()
    assert rows["sample"].to_list() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert rows["problem_id"].n_unique() == 2
    # The reward of the sample is the strict grade: the tool that paid it and we agree.
    assert [grade == "correct" for grade in rows["strict_grade"]] == [reward == 1.0 for reward in rows["reward"]]


def test_trl_messages_are_read_as_their_contents():
    table = pl.read_parquet(SAMPLES / "trl-chat" / "completions_00001.parquet")
    rows = only(SAMPLES / "trl-chat").rows
    assert rows["text"].to_list() == [messages[-1]["content"] for messages in table["completion"].to_list()]
    assert rows["prompt"].to_list() == [messages[0]["content"] for messages in table["prompt"].to_list()]


def trl_table(step, texts, **columns):
    n = len(texts)
    return pl.DataFrame(
        {"step": [step] * n, "prompt": ["2+2"] * n, "completion": texts, **columns, "advantage": [0.0] * n}
    )


def write_trl(folder, tables):
    for number, table in enumerate(tables, start=1):
        path = folder / "completions" / f"completions_{number:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_parquet(path)
    return folder


def test_trl_batches_logged_again_are_dropped_however_often_and_nothing_else_is(tmp_path):
    one = {"paid": [1.0, 0.0], "answer": ["4", "4"]}
    other = {"paid": [0.0, 0.0], "answer": ["4", "4"]}
    tables = [
        trl_table(1, [RIGHT, WRONG], **one),
        trl_table(2, [RIGHT, WRONG], **one),
        trl_table(3, [RIGHT, WRONG], **one),
        trl_table(4, [RIGHT, WRONG], **other),  # the same texts, paid differently: another batch
        trl_table(5, [WRONG, RIGHT], **other),
    ]
    found = only(write_trl(tmp_path, tables))
    assert found.repeated == 4
    assert found.rows["step"].unique().sort().to_list() == [1, 4, 5]


def test_trl_rewards_of_several_functions_have_no_known_sum(tmp_path):
    both = {"paid": [1.0, float("nan")], "format": [0.5, 0.5]}
    folder = write_trl(tmp_path, [trl_table(1, [RIGHT, WRONG], **both)])
    assert only(folder).rows["reward"].to_list() == [None, None]
    assert only(folder, columns={"reward": "paid"}).rows["reward"].to_list() == [1.0, None]
    assert only(folder).rows["grade"].to_list() == [None, None]


def test_lm_eval_rows_hold_every_repeat_of_every_problem_once():
    log = (SAMPLES / "lm-eval" / "samples_chain_sample.jsonl").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    first = [line for line in lines if line["filter"] == lines[0]["filter"]]
    rows = only(SAMPLES / "lm-eval").rows
    assert rows["text"].to_list() == [text for line in first for text in line["resps"][0]]
    assert rows["answer"].to_list() == [line["target"] for line in first for _ in range(2)]
    assert rows["prompt"].to_list() == [line["doc"]["prompt"] for line in first for _ in range(2)]
    assert rows["sample"].to_list() == [0, 1] * 4
    assert set(rows["kind"]) == {"chain_sample"}


def test_lm_eval_tasks_without_generated_text_are_refused(tmp_path):
    row = {"doc_id": 0, "doc": {}, "target": 0, "resps": [[[-1.5, False]], [[-2.5, False]]], "filter": "none"}
    with pytest.raises(DataError, match="row 1, column 'resps': no generated texts"):
        read(write(tmp_path / "samples_arc.jsonl", [row]))


def test_gsm8k_answers_stand_behind_four_hashes(tmp_path):
    row = {"doc_id": 0, "doc": {}, "target": "2+2=4 so\n#### 4", "resps": [[RIGHT]], "filter": "none"}
    rows = only(write(tmp_path / "samples_gsm8k_2026-01-02T03-04-05.678.jsonl", [row])).rows
    assert rows.select("answer", "grade", "kind").rows() == [("4", "correct", "gsm8k")]


def test_verl_files_come_in_the_order_of_their_steps(tmp_path):
    for step in (10, 9, 100):
        row = {"input": "2+2", "output": RIGHT, "gts": 4, "score": 1.0, "step": step}
        write(tmp_path / f"{step}.jsonl", [row])
    assert only(tmp_path).rows["step"].to_list() == [9, 10, 100]
    assert only(tmp_path).rows["grade"].to_list() == ["correct"] * 3


def test_openrlhf_rows_of_batch_inference_and_of_reward_functions(tmp_path):
    inference = only(write(tmp_path / "a.jsonl", [{"input": "2+2", "output": RIGHT, "reward": 0.5}]))
    logged = only(write(tmp_path / "b.jsonl", [{"query": "2+2" + RIGHT, "prompt": "2+2", "label": "4", "reward": 0.5}]))
    assert (inference.format, logged.format) == ("openrlhf", "openrlhf")
    shared = ["text", "prompt", "reward"]
    assert inference.rows.select(shared).rows() == logged.rows.select(shared).rows() == [(RIGHT, "2+2", 0.5)]
    assert inference.rows["grade"].to_list() == [None]
    assert logged.rows["grade"].to_list() == ["correct"]


def test_a_query_that_does_not_begin_with_its_prompt_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"q\.jsonl, row 1, column 'query'"):
        read(write(tmp_path / "q.jsonl", [{"query": "other words", "prompt": "2+2"}]))


def test_any_rows_are_read_with_a_column_mapping(tmp_path):
    rows = [{"q": "2+2", "said": RIGHT, "meta": {"gold": ["4"]}, "run": 3}, {"q": "2+2", "said": WRONG, "meta": None}]
    path = write(tmp_path / "rows.jsonl", rows)
    mapping = column_mapping(["question=q", "text=said", "answer=meta.gold", "seed=run"])
    found = only(path, columns=mapping)
    assert found.format == "jsonl"
    read_back = found.rows.select("text", "answer", "seed", "grade", "problem_id")
    assert read_back.row(0) == (RIGHT, "4", 3, "correct", content_id("2+2", "4"))
    assert read_back.row(1) == (WRONG, None, None, None, content_id("2+2", ""))


def test_plain_parquet_and_json_lists_are_read_like_jsonl(tmp_path):
    rows = [
        {"question": "2+2", "completion": RIGHT, "answer": "4"},
        {"question": "2+2", "completion": WRONG, "answer": 4},
    ]
    lines = only(write(tmp_path / "a.jsonl", rows)).rows
    (tmp_path / "b.json").write_text(json.dumps(rows))
    pl.DataFrame([{**row, "answer": "4"} for row in rows]).write_parquet(tmp_path / "c.parquet")
    assert lines.equals(only(tmp_path / "b.json").rows)
    assert lines.equals(only(tmp_path / "c.parquet").rows)


def test_somebody_elses_grade_is_believed_only_where_it_is_named(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"prompt": "2+2", "text": WRONG, "answer": "4", "correct": True}])
    assert only(path).rows["grade"].to_list() == ["wrong"]
    assert only(path, columns={"correct": "correct"}).rows["grade"].to_list() == ["correct"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["1+3", "2+2"]), st.text(max_size=40) | st.sampled_from([RIGHT, WRONG])), min_size=1
    )
)
def test_what_a_text_says_does_not_depend_on_the_file_it_stands_in(tmp_path_factory, asked):
    folder = tmp_path_factory.mktemp("same")
    verl = [{"input": q, "output": text, "gts": "4", "score": 0.0, "step": 1} for q, text in asked]
    plain = [{"prompt": q, "response": text, "answer": "4", "score": 0.0, "step": 1} for q, text in asked]
    one, other = only(write(folder / "1.jsonl", verl)), only(write(folder / "a.jsonl", plain))
    assert (one.format, other.format) == ("verl", "jsonl")
    assert one.rows.equals(other.rows)
    assert one.rows["text"].to_list() == [text for _, text in asked]
    for row in one.rows.iter_rows(named=True):
        assert row["grade"] == verify(row["text"], "4").status
        assert row["strict_grade"] == verify(row["text"], "4", "strict").status
        assert {BEHAVIOR + name: float(value) for name, value in measure(row["text"]).items()}.items() <= row.items()
        assert {BEHAVIOR + name for name in BEHAVIORS} <= set(row)


def test_a_mapping_names_fields_and_columns_that_exist(tmp_path):
    with pytest.raises(InputError, match="'anwser' is no field"):
        column_mapping(["anwser=gold"])
    with pytest.raises(InputError, match="write FIELD=NAME"):
        column_mapping(["answer"])
    path = write(tmp_path / "a.jsonl", [{"prompt": "2+2", "text": RIGHT}])
    with pytest.raises(InputError, match=r"--column answer=gold: .*a\.jsonl has no such column, only prompt, text"):
        read(path, columns={"answer": "gold"})
