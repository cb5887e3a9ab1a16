import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("reasoning_gym")

from spurious.errors import DataError, SpecError
from spurious.specs import TaskSpec
from spurious.tasks import gymscore, load_task
from spurious.tasks.gym import REFUSED, answer_of, build, grade


@pytest.fixture(scope="module", autouse=True)
def _worker():
    yield
    gymscore.close()


def test_problems_come_with_their_own_answers_and_ids_of_content():
    task = build("leg_counting", size=20, seed=4)
    assert len({problem.id for problem in task.problems}) == 20
    assert {problem.source for problem in task.problems} == {"gym:leg_counting"}
    assert task.digest == build("leg_counting", size=20, seed=4).digest
    assert task.source["seed"] == 4


def test_a_smaller_size_gives_the_first_of_a_larger_one():
    assert build("leg_counting", size=5).problems == build("leg_counting", size=15).problems[:5]


def test_neighboring_seeds_do_not_share_problems():
    one, two = build("leg_counting", size=40, seed=1), build("leg_counting", size=40, seed=2)
    assert not {p.id for p in one.problems} & {p.id for p in two.problems}


def test_splits_are_disjoint_whatever_the_seed():
    config = {"min_animals": 1, "max_animals": 1}
    train = {p.question for seed in range(4) for p in build("leg_counting", size=60, seed=seed, config=config).problems}
    test = build("leg_counting", size=60, seed=9, split="test", config=config)
    assert not train & {p.question for p in test.problems}


def test_the_data_sets_own_scorer_grades():
    (problem,) = build("knights_knaves", size=1).problems
    grades = grade(
        [
            (f"<answer>{problem.answer}</answer>", problem),
            (rf"So \boxed{{{problem.answer}}}", problem),
            (f"I think so.\n{problem.answer}", problem),
            ("<answer>Nobody is.</answer>", problem),
            ("", problem),
        ],
        "strict",
    )
    assert [g.status for g in grades] == ["correct", "correct", "absent", "wrong", "absent"]
    assert grades[0].extracted == problem.answer
    assert grade([(f"I think so.\n{problem.answer}", problem)], "lenient")[0].correct


def test_partial_marks_are_wrong():
    import reasoning_gym

    task = build("word_sorting", size=1)
    (problem,) = task.problems
    first, second, *rest = problem.answer.split(", ")
    almost = ", ".join([second, first, *rest])
    scorer = reasoning_gym.create_dataset("word_sorting", size=1, seed=0)
    assert 0 < scorer.score_answer(almost, problem.metadata["entry"]) < 1
    assert [g.status for g in task.grade([(rf"\boxed{{{almost}}}", problem)], "strict")] == ["wrong"]


@pytest.mark.parametrize(
    ("text", "strict", "lenient"),
    [
        (r"<think>\boxed{1}</think> \boxed{2}", "2", "2"),
        ("<think> still <answer>3</answer>", None, None),
        ("a <answer>1</answer> b <answer> 2\n3 </answer> c", "2\n3", "2\n3"),
        ("<answer>open", "open", "open"),
        ("<answer></answer>\nlast line ", None, "last line"),
        (" \n ", None, None),
    ],
)
def test_what_counts_as_an_answer(text, strict, lenient):
    assert answer_of(text, "strict") == strict
    assert answer_of(text, "lenient") == lenient


def test_many_answer_tags_are_scanned_in_linear_time():
    start = time.monotonic()
    assert answer_of("<answer>" * 20_000 + "7", "strict") == "7"
    assert time.monotonic() - start < 20  # milliseconds here


def test_hostile_answers_are_graded_as_what_they_are_and_harm_no_other():
    (problem,) = build("coin_flip", size=1).problems
    texts = ["1e999999999", problem.answer, "9" * 20_000, "1/0", problem.answer]
    found = [g.status for g in grade([(f"<answer>{text}</answer>", problem) for text in texts], "strict")]
    assert found[1] == found[4] == "correct"
    assert found[2] == "limit"
    assert found[0] in ("timeout", "limit", "unparsable")
    assert found[3] in ("wrong", "unparsable")


class Deadly:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (3,)


def test_a_worker_that_dies_at_an_answer_is_a_status_and_is_replaced():
    (problem,) = build("leg_counting", size=1).problems
    good = (problem.metadata, problem.answer)
    deadly = ({**problem.metadata, "config": Deadly()}, problem.answer)
    assert gymscore.statuses([good, good]) == ["correct", "correct"]
    assert gymscore.statuses([deadly]) == ["failed"]
    assert gymscore.statuses([good]) == ["correct"]


def test_a_worker_that_died_between_two_calls_costs_no_answer():
    (problem,) = build("leg_counting", size=1).problems
    assert gymscore.statuses([(problem.metadata, problem.answer)]) == ["correct"]
    gymscore._worker.process.kill()
    gymscore._worker.process.wait()
    assert gymscore.statuses([(problem.metadata, problem.answer)]) == ["correct"]


def test_nobody_s_text_is_run_as_python():
    """Every module of reasoning-gym that evaluates text is refused, or evaluates only what it wrote itself."""
    import reasoning_gym

    own_text_only = {"basic_arithmetic", "bitwise_arithmetic", "codeio", "gsm_symbolic", "number_sorting"}
    own_parser = {"propositional_logic"}
    evaluating = {
        name
        for name, (cls, _) in reasoning_gym.factory.DATASETS.items()
        if any(
            call in Path(sys.modules[cls.__module__].__file__).read_text("utf-8")
            for call in (" eval(", "(eval(", " exec(", "parse_expr(")
        )
    }
    refused = {name for name, reason in REFUSED.items() if "Python" in reason}
    assert evaluating - own_text_only - own_parser == refused


def test_what_is_refused_says_why():
    with pytest.raises(SpecError, match=r"gym:countdown is not offered: its scorer runs the model's text"):
        load_task(TaskSpec(name="gym:countdown"))
    with pytest.raises(SpecError, match=r"gym:nope: reasoning-gym has no such data set; there are .*knights_knaves"):
        load_task(TaskSpec(name="gym:nope"))
    with pytest.raises(SpecError, match=r"args.config: .*bogus"):
        load_task(TaskSpec(name="gym:leg_counting", args={"config": {"bogus": 1}}))
    with pytest.raises(SpecError, match=r"args.config: .*min_animals"):
        load_task(TaskSpec(name="gym:leg_counting", args={"config": {"min_animals": -1}}))


def test_a_data_set_without_a_single_answer_is_refused():
    with pytest.raises(DataError, match=r"gym:boxnet, entry 0: its scorer does not accept its answer None"):
        load_task(TaskSpec(name="gym:boxnet", args={"size": 2}))


def test_more_problems_than_exist_are_refused():
    config = {"min_animals": 1, "max_animals": 1, "min_instances": 1, "max_instances": 1}
    with pytest.raises(SpecError, match=r"size is 500, but only \d+ train problems"):
        build("leg_counting", size=500, config=config)


@pytest.mark.slow
def test_every_data_set_offered_is_the_same_in_every_process():
    program = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import reasoning_gym, json, sys\n"
        "from spurious.errors import DataError, SpecError\n"
        "from spurious.tasks.gym import build, REFUSED\n"
        "found = {}\n"
        "for name in sorted(set(reasoning_gym.factory.DATASETS) - set(REFUSED)):\n"
        "    try: found[name] = build(name, size=3, seed=5).digest\n"
        "    except (DataError, SpecError): found[name] = None\n"
        "print(json.dumps(found))\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    first, second = (json.loads(run.strip().splitlines()[-1]) for run in runs)
    assert first == second
    unusable = {name for name, digest in first.items() if digest is None}
    assert unusable == {"boxnet", "composite", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"}
