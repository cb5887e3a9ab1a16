import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing

from spurious.errors import InputError
from spurious.policy import load
from spurious.policy.model import decode
from spurious.probes.contamination import Settings, Subset, contamination
from spurious.probes.recall import complete, cut, read, token_logprobs
from spurious.specs import BenchSpec, TaskSpec
from spurious.tasks import load_bench
from spurious.tasks.base import Task, make_problem
from spurious.types import Completion, Group


@pytest.fixture
def readings(organism):
    task = load_bench(BenchSpec.model_validate({"task": {"chain": {"size": 12}}}))[1]
    return [read(organism, problem, "organism") for problem in task.problems]


def test_a_cut_is_the_first_token_boundary_that_holds_the_fraction(organism, readings):
    for reading in readings:
        text = decode(organism, reading.ids)
        assert text == reading.problem.question + "\n"
        for fraction in (0.01, 0.4, 0.6, 0.8, 0.99):
            place = cut(organism, reading, fraction)
            lengths = [len(decode(organism, reading.ids[:m])) for m in range(len(reading.ids))]
            fitting = [m for m in range(1, len(reading.ids)) if lengths[m] >= fraction * len(text)]
            assert place == (fitting[0] if fitting else len(reading.ids) - 1)


def test_a_token_that_opens_every_text_is_no_part_of_the_question(organism):
    tokenizer = copy.deepcopy(organism.tokenizer)
    tokenizer.bos_token = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{tokenizer.bos_token} $A", special_tokens=[(tokenizer.bos_token, tokenizer.bos_token_id)]
    )
    opened = replace(organism, tokenizer=tokenizer)
    problem = make_problem("What is 12 + 30?", "42", "mine")
    with_it, without = read(opened, problem, "none"), read(organism, problem, "none")
    assert with_it.ids == (tokenizer.bos_token_id, *without.ids)
    assert (with_it.opening, without.opening) == (1, 0)
    for fraction in (0.1, 0.5, 0.9):
        assert cut(opened, with_it, fraction) == cut(organism, without, fraction) + 1


def test_log_probabilities_are_those_of_one_plain_forward_pass(organism, readings):
    for reading, values in zip(readings, token_logprobs(organism, readings), strict=True):
        ids = torch.tensor([reading.ids])
        with torch.no_grad():
            theirs = organism.model(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        assert values == pytest.approx(theirs.double().numpy(), abs=1e-4)


def test_a_question_that_comes_back_word_for_word_is_exact(organism, readings, monkeypatch):
    """A sampler that knows the first six questions, and their answers, by heart; to the others it repeats one word."""
    known = {reading.problem.id: reading for reading in readings[:6]}

    def sample(self, prompts, n, sampling, scope, **_):
        groups = []
        for prompt in prompts:
            reading = known.get(prompt.problem.id)
            if reading is not None:
                rest = reading.ids[len(prompt.token_ids) :]
                answer = self.policy.tokenizer(f"The answer is {prompt.problem.answer}.")["input_ids"]
                ids = (*rest, *answer, self.policy.eos_ids[0])
            else:
                ids = prompt.token_ids[:1] * 5
            groups.append(Group(prompt, (Completion("", ids, (), "eos"),)))
        return groups

    monkeypatch.setattr("spurious.policy.sampler.TorchSampler.sample", sample)
    recalled = complete(organism, readings, 0.6, 20)
    assert [one.exact for one in recalled] == [True] * 6 + [False] * 6
    assert all(one.rouge == 1 for one in recalled[:6])
    assert all(one.rouge < 0.3 for one in recalled[6:])
    assert recalled[0].text.endswith(f"The answer is {readings[0].problem.answer}.")


def test_questions_that_cannot_be_probed_are_refused_by_name(organism):
    with pytest.raises(InputError, match=r"problem \w+: its question's \d+ tokens exceed the model's 512 positions"):
        read(organism, make_problem("1" * 600, "1", "mine"), "none")
    with pytest.raises(InputError, match="one token cannot be cut"):
        read(organism, make_problem("1", "1", "mine"), "none")


def subset(**args):
    spec, task = load_bench(BenchSpec.model_validate({"task": {"chain": args}}))
    return Subset(spec.task, task)


def test_an_untrained_model_knows_nothing_by_heart(organism):
    suspected, clean = subset(size=20), subset(size=20, seed=9)
    result = contamination(organism, suspected, clean, 0, Settings(fractions=(0.5,), twins=3, max_tokens=8))
    assert (result.n_suspected, result.n_clean) == (20, 20)
    measures = {one.name: one for one in result.measures}
    assert set(measures) == {
        "exact@50",
        "rouge@50",
        "answer@50",
        "logprob@50",
        "twins",
        "answer logprob",
        "answer logprob, no question",
        "answer, no question",
    }
    assert measures["exact@50"].suspected.mean == 0
    assert all(one.p_holm is not None and one.p_holm > 0.05 for one in result.measures)
    alone = contamination(organism, suspected, None, 0, Settings(fractions=(0.5,), twins=3, max_tokens=8))
    assert all(one.clean is None and one.difference is None for one in alone.measures)
    assert [one.suspected for one in alone.measures] == [one.suspected for one in result.measures]


def test_without_a_question_every_problem_gets_the_same_answer(organism):
    problems = subset(size=30)
    result = contamination(organism, problems, None, 0, Settings(fractions=(0.5,), twins=1, max_tokens=8))
    blind = next(one for one in result.measures if one.name == "answer, no question").suspected.mean
    answers = [problem.answer for problem in problems.task.problems]
    assert blind in {answers.count(answer) / 30 for answer in "0123456789"} | {0}


def test_what_cannot_be_asked_is_refused(organism):
    with pytest.raises(InputError, match="above 0 and below 1"):
        Settings(fractions=(0.4, 1.0))
    with pytest.raises(InputError, match="twins: at least 1"):
        Settings(twins=0)
    with pytest.raises(InputError, match="suspected problems: an interval takes two"):
        contamination(organism, subset(size=1), None, 0)


def test_the_twins_of_a_question_it_has_read_are_less_likely(organism, monkeypatch):
    """Log-probabilities are replaced by a model that gives the suspected questions 3 nats more than any other."""
    suspected, clean = subset(size=20), subset(size=20, seed=9)
    leaked = {problem.question for problem in suspected.task.problems}

    def known(policy, readings):
        return [
            np.full(len(r.ids) - 1, -2.0) + (3.0 / (len(r.ids) - 1) if r.problem.question in leaked else 0)
            for r in readings
        ]

    monkeypatch.setattr("spurious.probes.contamination.token_logprobs", known)
    result = contamination(organism, suspected, clean, 0, Settings(fractions=(0.5,), twins=3, max_tokens=8))
    twins = next(one for one in result.measures if one.name == "twins")
    assert twins.suspected.mean == pytest.approx(3)
    assert twins.clean is not None
    assert twins.clean.mean == pytest.approx(0)


def test_a_reference_is_subtracted(organism, organism_dirs):
    problems = subset(size=20)
    settings = Settings(fractions=(0.5,), twins=1, max_tokens=8)
    other = load(str(organism_dirs["llama"]))
    texts = [read(organism, problem, "organism") for problem in problems.task.problems]
    sums = [np.array([values.sum() for values in token_logprobs(policy, texts)]) for policy in (organism, other)]
    for reference, expected in ((organism, 0), (other, (sums[0] - sums[1]).mean())):
        result = contamination(organism, problems, None, 0, settings, reference=reference)
        (measure,) = [one for one in result.measures if one.name == "reference"]
        assert measure.suspected.mean == pytest.approx(expected)


def test_a_chat_task_is_read_without_its_template(organism):
    spec = TaskSpec(name="mine")

    task = Task(
        "mine", tuple(make_problem(f"What is {n} and {n + 3} together?", str(2 * n + 3), "mine") for n in range(5))
    )
    result = contamination(organism, Subset(spec, task), None, 0, Settings(fractions=(0.5,), twins=2, max_tokens=8))
    assert {one.suspected.n for one in result.measures} == {5}
    assert decode(organism, read(organism, task.problems[0], "none").ids) == task.problems[0].question
