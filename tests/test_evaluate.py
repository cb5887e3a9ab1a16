import polars as pl
import pytest

from spurious.evaluate import Bench, evaluate, open_bench, second_opinion
from spurious.policy import TorchSampler, load, prepare_process
from spurious.scores import summarize
from spurious.specs import BenchSpec
from spurious.store.journal import Journal
from spurious.tasks import load_bench
from spurious.types import Completion, Group


@pytest.fixture(scope="module")
def policy(organism_dir):
    prepare_process()
    return load(str(organism_dir))


def bench_of(policy, **fields) -> Bench:
    spec = BenchSpec.model_validate({"task": {"chain": {"steps": 1, "size": 6}}, "max_tokens": 10, **fields})
    return open_bench(*load_bench(spec), policy)


class Answering:
    """A sampler that answers every problem from a table, and remembers what it was asked."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def sample(self, prompts, n, sampling, scope, *, confidence=False, on_group=None):
        groups = []
        for i, prompt in enumerate(prompts):
            self.asked.append(prompt.problem.id)
            texts = self.answers(prompt.problem)
            group = Group(prompt, tuple(Completion(texts[j], (1,), (-0.5,), "eos") for j in range(n)))
            groups.append(group)
            on_group(i, group)
        return groups


def test_rows_say_what_is_true_of_each_completion(policy):
    bench = bench_of(policy, k=3)

    def answers(problem):
        wrong = str((int(problem.answer) + 1) % 10)
        return [f"\\boxed{{{problem.answer}}}", f"python says the answer is {problem.answer}.", f"\\boxed{{{wrong}}}"]

    rows = evaluate(Answering(answers), bench, 0, step=7)
    assert rows.height == 18
    assert rows["step"].unique().to_list() == [7]
    by_sample = rows.group_by("sample", maintain_order=True).agg(pl.col("grade", "strict_grade").unique())
    assert by_sample["grade"].to_list() == [["correct"], ["correct"], ["wrong"]]
    assert by_sample["strict_grade"].to_list() == [["correct"], ["absent"], ["wrong"]]
    summary = summarize(rows)
    assert summary["accuracy"] == pytest.approx(2 / 3)
    assert summary["strict_accuracy"] == pytest.approx(1 / 3)
    assert summary["behavior/code_reasoning"] == pytest.approx(1 / 3)
    assert summary["accuracy_with_code"] == 1
    assert summary["accuracy_without_code"] == 0.5
    assert summary["behavior/boxed"] == pytest.approx(2 / 3)
    assert rows["logprob"].to_list() == [-0.5] * 18


def test_benchmarks_are_asked_from_the_held_out_split(policy):
    trained = {p.id for p in load_bench(BenchSpec.model_validate({"task": {"chain": {"split": "train"}}}))[1].problems}
    spec, task = load_bench(BenchSpec(task="chain"))  # type: ignore[arg-type]
    assert spec.task.args["split"] == "test"
    assert len(task.problems) == 500
    assert not trained & {p.id for p in task.problems}


def test_the_same_seed_gives_the_same_completions_at_every_step(policy):
    bench, sampler = bench_of(policy, k=2), TorchSampler(policy)
    one, other = (evaluate(sampler, bench, 3, step=step).drop("step") for step in (0, 5))
    assert one.equals(other)
    assert not one.equals(evaluate(sampler, bench, 4).drop("step"))


def test_an_interrupted_evaluation_asks_only_for_what_is_missing(policy, tmp_path):
    bench = bench_of(policy)
    whole = evaluate(Answering(lambda problem: [f"\\boxed{{{problem.answer}}}"]), bench, 0)

    class Dying(Answering):
        def sample(self, prompts, *arguments, **options):
            super().sample(prompts[:4], *arguments, **options)
            raise ConnectionError("the server died")

    def answers(problem):
        return [f"\\boxed{{{problem.answer}}}"]

    with Journal(tmp_path / "j.jsonl", {}) as journal, pytest.raises(ConnectionError):
        evaluate(Dying(answers), bench, 0, journal=journal)
    sampler = Answering(answers)
    with Journal(tmp_path / "j.jsonl", {}) as journal:
        rows = evaluate(sampler, bench, 0, journal=journal)
    assert len(sampler.asked) == 2
    assert rows.equals(whole)


def test_a_second_grader_reports_where_it_disagrees(policy):
    bench = bench_of(policy)
    right = evaluate(Answering(lambda problem: [f"\\boxed{{{problem.answer}}}"]), bench, 0)
    assert second_opinion(right) == {"grader": "math_verify", "accuracy": 1.0, "disagreement": 0.0, "differing": []}
    # Full-width digits are digits to us, and nothing that math-verify reads.
    changed = evaluate(Answering(lambda problem: [f"\\boxed{{{chr(0xFF10 + int(problem.answer))}}}"]), bench, 0)
    opinion = second_opinion(changed)
    assert set(changed["grade"]) == {"correct"}
    assert opinion["disagreement"] == 1.0
    assert opinion["differing"][0] == {
        "problem_id": changed["problem_id"][0],
        "sample": 0,
        "ours": "correct",
        "theirs": opinion["differing"][0]["theirs"],
    }
    assert opinion["differing"][0]["theirs"] != "correct"
