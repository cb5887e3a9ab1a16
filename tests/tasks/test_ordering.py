import itertools

import pytest

from spurious.errors import InputError
from spurious.signals import LABELS, build_labels
from spurious.specs import LabelSpec, TaskSpec
from spurious.tasks import load_task
from spurious.tasks.ordering import COMPARED, PEOPLE, Fact, Ordering, build, orderings
from spurious.verify import equal

EXAMPLE = Ordering("height", (Fact("Ann", "Bob", True), Fact("Bob", "Cid", False), Fact("Dan", "Ann", True)), 1)


def test_the_example_of_the_documentation():
    assert EXAMPLE.question == (
        "Suppose Ann is taller than Bob. Cid is shorter than Bob. Dan is taller than Ann. Who is second tallest?"
    )
    assert EXAMPLE.orders == (("Ann", "Bob"), ("Ann", "Bob", "Cid"), ("Dan", "Ann", "Bob", "Cid"))
    problem = EXAMPLE.problem
    assert (problem.answer, problem.kind, problem.source) == ("Ann", "height", "ordering")
    assert problem.metadata == {"steps": 3, "order": ["Dan", "Ann", "Bob", "Cid"], "rank": 1}


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_order_is_the_only_one_that_the_sentences_allow(steps):
    for ordering in orderings(steps=steps, size=40, seed=3, split="test"):
        people = {name for fact in ordering.facts for name in (fact.upper, fact.lower)}
        assert len(people) == steps + 1
        allowed = [
            order
            for order in itertools.permutations(sorted(people))
            if all(order.index(fact.upper) < order.index(fact.lower) for fact in ordering.facts)
        ]
        assert allowed == [ordering.orders[-1]]
        assert ordering.answer == allowed[0][ordering.rank]


def test_every_sentence_brings_one_person_to_the_order_so_far():
    for ordering in orderings(steps=6, size=50, seed=0, split="train"):
        for before, after in itertools.pairwise(ordering.orders):
            assert before in (after[1:], after[:-1])


def test_nothing_is_in_both_splits_however_it_is_asked():
    train, test = (orderings(steps=1, size=200, seed=seed, split=split) for seed, split in ((0, "train"), (1, "test")))
    told = [{tuple((f.upper, f.lower) for f in one.facts) for one in part} for part in (train, test)]
    assert not told[0] & told[1]
    assert len(set(train)) == len(set(test)) == 200
    assert {one.compared for one in train} == set(COMPARED)


def test_a_smaller_size_is_the_start_of_a_larger_one_and_a_seed_gives_others():
    assert build(size=20) == build(size=50)[:20]
    assert not {p.id for p in build(size=50)} & {p.id for p in build(size=50, seed=1)}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"steps": 0}, "steps must be 1 to 7, not 0"),
        ({"steps": 8}, "steps must be 1 to 7, not 8"),
        ({"size": 0}, "size must be at least 1"),
        ({"split": "dev"}, "split must be one of train, test, not 'dev'"),
    ],
)
def test_a_wrong_argument_is_named(args, message):
    with pytest.raises(InputError, match=f"ordering: {message}"):
        build(**args)


def test_all_there_are_can_be_had_and_no_more(monkeypatch):
    monkeypatch.setattr("spurious.tasks.ordering.PEOPLE", PEOPLE[:6])
    sizes = {}
    for split in ("train", "test"):
        with pytest.raises(InputError, match=rf"but only \d+ {split} problems of 1 steps exist") as error:
            build(steps=1, size=1000, split=split)
        sizes[split] = int(str(error.value).split("only ")[1].split()[0])
    assert sum(sizes.values()) == 8 * 2 * 30 * 2  # compared, ranks, pairs in order, ways to say it


def test_names_are_graded_as_words_strictly_and_leniently():
    task = load_task(TaskSpec(name="ordering", args={"size": 1}))
    (problem,) = task.problems
    name, other = problem.answer, next(one for one in PEOPLE if one != problem.answer)
    boxes = (f"\\boxed{{{name}}}", f"\\boxed{{\\text{{{name}}}}}", f"\\boxed{{{name.lower()}.}}", f"\\boxed{{{other}}}")
    pairs = [(text, problem) for text in (f"So {other}, {name}. The answer is {name}.", *boxes, "")]
    right = ["correct"] * 3
    assert [grade.status for grade in task.grade(pairs, "lenient")] == ["correct", *right, "wrong", "absent"]
    assert [grade.status for grade in task.grade(pairs, "strict")] == ["absent", *right, "wrong", "absent"]


@pytest.mark.parametrize("name", ["near", "far", "shuffled", "noise"])
def test_a_wrong_label_is_another_name(name):
    problems = build(size=200)
    args = {"p": 1.0} if name == "noise" else {}
    labels = build_labels(LabelSpec(name=name, args=args), problems, seed=0).labels
    assert name in LABELS
    assert len(labels) == 200
    assert all(labels[p.id] in PEOPLE and labels[p.id] != p.answer for p in problems)


def test_the_ladder_tells_all_names_apart():
    assert all(equal(one, other) == ("correct" if one == other else "wrong") for one in PEOPLE for other in PEOPLE)
