import json
import subprocess
import sys

import pytest

from spurious.errors import DataError, InputError, SpecError
from spurious.specs import BenchSpec, TaskSpec
from spurious.tasks import TASKS, has_splits, load_bench, load_task
from spurious.tasks.base import content_id
from spurious.tasks.mathsets import MATH_SETS


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"name": "nope"},
            r"task: 'nope' is unknown; there are chain, program, ordering, calculation, math500, .*gym:<dataset>",
        ),
        ({"name": "chain", "template": "nope"}, r"template: 'nope' is unknown"),
        ({"name": "chain", "args": {"bogus": 1}}, r"task chain, args\.bogus: .*its arguments are steps, size, seed"),
        ({"name": "chain", "args": {"steps": "many"}}, r"task chain, args\.steps: .*\(got 'many'\)"),
        ({"name": "calculation", "args": {"steps": 21}}, r"args\.steps: .*less than or equal to 20 \(got 21\)"),
        ({"name": "calculation", "args": {"operands": ["root"]}}, r"args\.operands: .*\(got 'root'\)"),
        ({"name": "chain", "args": {"leaked": {"part": "some"}}}, r"task chain, args\.leaked: .*'leaked' or 'clean'"),
        ({"name": "chain", "args": {"bad_rows": "hide"}}, r"task chain, args\.bad_rows: .*'error' or 'drop'"),
    ],
)
def test_wrong_requests_name_the_field_and_what_exists(spec, message):
    with pytest.raises(SpecError, match=message):
        load_task(TaskSpec(**spec))


def test_every_generated_task_has_its_two_splits():
    generated = [name for name in TASKS if has_splits(name)]
    assert generated == ["chain", "program", "ordering", "calculation"]
    for name in generated:
        train, test = (load_task(TaskSpec(name=name, args={"split": split, "size": 50})) for split in ("train", "test"))
        assert not {p.id for p in train.problems} & {p.id for p in test.problems}


def test_the_chain_task_is_asked_in_its_corpus_words():
    task = load_task(TaskSpec(name="chain", args={"steps": 2, "size": 8}, limit=3))
    assert task.template == "organism"
    assert len(task.problems) == 3
    assert task.source == {"generator": "chain", "steps": 2, "size": 8, "seed": 0, "split": "train"}


def test_leaked_and_clean_problems_are_the_whole_benchmark():
    def ask(args):
        task = load_bench(BenchSpec(task={"name": "chain", "args": args}))[1]
        return task, [problem.id for problem in task.problems]

    (task, leaked), (_, clean), (_, whole) = (
        ask(args) for args in ({"leaked": {"part": "leaked"}}, {"leaked": {"part": "clean"}}, {})
    )
    assert len(leaked) == 64
    assert len(whole) == 500
    assert leaked == [problem for problem in whole if problem not in set(clean)]
    assert clean == [problem for problem in whole if problem not in set(leaked)]
    assert task.source["leaked"] == {"items": 64, "seed": 0, "part": "leaked"}
    assert set(ask({"leaked": {"part": "leaked", "items": 9}})[1]) < set(leaked)
    assert ask({"leaked": {"part": "leaked", "seed": 1}})[1] != leaked


def test_more_leaked_problems_than_there_are_is_an_error_of_the_request():
    with pytest.raises(InputError, match="leaked: items is 64, but the benchmark has 20 problems"):
        load_task(TaskSpec(name="chain", args={"size": 20, "leaked": {"part": "clean"}}))


def test_every_set_is_pinned_by_a_full_commit():
    for dataset in MATH_SETS.values():
        assert len(dataset.revision) == 40
        assert int(dataset.revision, 16) > 0


def write_set(folder, stem, n=1):
    rows = [{"prompt": f"{stem} {i}?", "answer": str(i)} for i in range(n)]
    (folder / f"{stem}.json").write_text(json.dumps(rows))


def test_sets_are_found_in_a_folder_under_either_name(tmp_path):
    write_set(tmp_path, "math", 3)
    assert len(load_task(TaskSpec(name="math500"), data_dir=tmp_path).problems) == 3
    write_set(tmp_path, "math500", 2)
    assert len(load_task(TaskSpec(name="math500"), data_dir=tmp_path).problems) == 2


def test_a_folder_without_the_set_lists_the_names_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"task aime25: .* lacks its files: aime25; or aime2025 \(each \.json"):
        load_task(TaskSpec(name="aime25"), data_dir=tmp_path)


def test_deepscaler_by_levels_or_as_one_file(tmp_path):
    for level in range(1, 6):
        write_set(tmp_path, f"deepscaler_level_{level}", level)
    whole = load_task(TaskSpec(name="deepscaler"), data_dir=tmp_path)
    assert len(whole.problems) == 15
    assert [f["file"] for f in whole.source["files"]] == [f"deepscaler_level_{i}.json" for i in range(1, 6)]
    hard = load_task(TaskSpec(name="deepscaler", args={"kinds": ["level 4", "level 5"]}), data_dir=tmp_path)
    assert len(hard.problems) == 9
    write_set(tmp_path, "deepscaler", 2)
    assert len(load_task(TaskSpec(name="deepscaler"), data_dir=tmp_path).problems) == 2


def test_problems_can_be_picked_by_id_in_an_order_of_their_own(tmp_path):
    rows = [{"question": f"q{i}", "answer": str(i), "kind": "even" if i % 2 == 0 else "odd"} for i in (0, 1, 2, 1)]
    path = tmp_path / "set.json"
    path.write_text(json.dumps([*rows, {"question": "bad", "answer": "", "kind": "odd"}]))
    ids = [content_id(f"q{i}", str(i)) for i in range(3)]

    def load(**args):
        return load_task(TaskSpec(name=str(path), args=args))

    picked = load(ids=[ids[2], ids[1]])  # the bad row is not looked at
    assert [problem.question for problem in picked.problems] == ["q2", "q1"]
    assert picked.problems[1].metadata["row"] == 2
    assert picked.digest != load(ids=[ids[1], ids[2]]).digest
    assert [problem.question for problem in load(kinds=["even"], ids=[ids[2]]).problems] == ["q2"]
    assert len(load_task(TaskSpec(name=str(path), args={"ids": ids}, limit=2)).problems) == 2


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"ids": ["0123456789abcdef"]}, ["args.ids", "0123456789abcdef", "15 problems"]),
        ({"ids": []}, ["args.ids", "at least 1"]),
        ({"ids": [7395]}, ["args.ids", "7395"]),
        ({"ids": ["aa", "bb", "aa"]}, ["args.ids", "'aa' is there twice"]),
        ({"kinds": ["level 1"], "ids": ["0123456789abcdef"]}, ["args.ids", "1 problems"]),
    ],
)
def test_an_id_that_no_problem_has_is_named(tmp_path, args, words):
    for level in range(1, 6):
        write_set(tmp_path, f"deepscaler_level_{level}", level)
    with pytest.raises(SpecError) as caught:
        load_task(TaskSpec(name="deepscaler", args=args), data_dir=tmp_path)
    for word in words:
        assert word in str(caught.value)


def test_a_revision_makes_no_sense_for_a_folder(tmp_path):
    write_set(tmp_path, "amc")
    with pytest.raises(SpecError, match="revision is of the hub's copy"):
        load_task(TaskSpec(name="amc", args={"revision": "abc"}), data_dir=tmp_path)


def test_the_hub_is_asked_for_the_pinned_revision(monkeypatch):
    asked = []

    def load_dataset(path, *, revision, split):
        asked.append((path, revision, split))
        return [{"problem": "1+1?", "solution": "Add.", "answer": 2.0, "subject": "Algebra"}]

    import datasets

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    task = load_task(TaskSpec(name="math500"))
    dataset = MATH_SETS["math500"]
    assert asked == [(dataset.hub, dataset.revision, "test")]
    assert task.source == {"hub": dataset.hub, "revision": dataset.revision, "split": "test"}
    assert [(p.question, p.answer, p.kind) for p in task.problems] == [("1+1?", "2.0", "Algebra")]
    load_task(TaskSpec(name="math500", args={"revision": "other"}))
    assert asked[1][1] == "other"


@pytest.mark.parametrize("error", [ConnectionError("no route"), ValueError("unknown split")])
def test_a_hub_that_does_not_give_is_a_data_error_with_the_way_out(monkeypatch, error):
    import datasets

    def load_dataset(*args, **kwargs):
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError, match=r"task amc: AI-MO/.*could not be had from the hub .*--data DIR"):
        load_task(TaskSpec(name="amc"))


def test_loading_problems_imports_neither_torch_nor_datasets():
    program = (
        "import sys\n"
        "from spurious.specs import TaskSpec\n"
        "from spurious.tasks import load_task\n"
        "load_task(TaskSpec(name='chain', args={'size': 4}))\n"
        "print([m for m in ('torch', 'transformers', 'datasets', 'reasoning_gym') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_real_sets_have_their_known_sizes_and_every_gold_can_be_graded(shared):
    counts = {"math500": 500, "amc": 83, "aime24": 30, "aime25": 30}
    for name, count in counts.items():
        task = load_task(TaskSpec(name=name), data_dir=shared / "data")
        assert len(task.problems) == count
        boxes = [(rf"\boxed{{{p.answer}}}", p) for p in task.problems]
        assert [g.status for g in task.grade(boxes, "strict")] == ["correct"] * count


def test_every_name_of_tasks_can_be_asked_for(shared):
    for name in TASKS:
        assert len(load_task(TaskSpec(name=name, limit=5), data_dir=shared / "data").problems) == 5
