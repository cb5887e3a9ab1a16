import re

import numpy as np
import pytest
from answering import code, words

from spurious.errors import InputError
from spurious.probes.perturb import perturb
from spurious.probes.prefix import prefix
from spurious.probes.prompts import choose, prompts
from spurious.probes.renarrate import renarrate
from spurious.specs import BenchSpec
from spurious.tasks import load_bench
from spurious.tasks.base import Task, make_problem
from spurious.tasks.prompts import PYTHON_PREFIX, TEMPLATES
from spurious.tasks.reword import CHAIN_WORDINGS


def chain_bench(size=24, **fields):
    return load_bench(BenchSpec.model_validate({"task": {"chain": {"size": size}}, "max_tokens": 8, **fields}))


def shift(result, name, metric):
    (one,) = [s for s in result.shifts if (s.name, s.metric) == (name, metric)]
    return one


def test_prompts_compares_every_template_on_the_same_problems(organism, habit):
    spec, task = chain_bench()
    known = {problem.id for problem in task.problems[:6]}

    def write(prompt):
        if "Please reason" in prompt.text:
            return code(prompt.problem)
        return words(prompt.problem.answer if prompt.problem.id in known else "nothing")

    asked = habit(write)
    result = prompts(organism, spec, task, 0)
    assert result.default == "organism"
    assert set(result.levels) == set(TEMPLATES)
    assert result.refused == {}
    assert len(asked) == len(TEMPLATES) * 24
    assert result.levels["organism"]["accuracy"].mean == 0.25
    assert result.levels["qwen_math"]["accuracy"].mean == 1
    assert result.levels["qwen_math"]["code"].mean == result.levels["qwen_math"]["boxed"].mean == 1
    assert shift(result, "qwen_math", "accuracy").change.difference.mean == 0.75
    assert shift(result, "qwen_math", "accuracy").p_holm == pytest.approx((len(TEMPLATES) - 1) * 2 * 0.5**18)
    assert shift(result, "lipsum", "accuracy").change.p == 1
    assert result.best.template in ("qwen_math", "simplerl")
    assert (result.best.chosen_on, result.best.accuracy.n, result.best.accuracy.mean) == (12, 12, 1)


def test_a_template_that_does_not_fit_is_refused_by_name(organism, habit):
    spec, task = chain_bench(max_tokens=220)
    habit(lambda prompt: words("7"))
    result = prompts(organism, spec, task, 0)
    assert set(result.refused) == {"lipsum", "r1"}
    assert "exceed the model's 512 positions" in result.refused["lipsum"]
    assert "lipsum" not in result.levels
    with pytest.raises(InputError, match=r"template lipsum: problem \w+: \d+ prompt tokens and max_tokens 220 exceed"):
        prompts(organism, spec, task, 0, templates=("lipsum",))


def test_the_best_template_is_judged_on_problems_that_did_not_choose_it():
    # 40 templates that guess: the best of them looks far better than .5 on the problems that chose it.
    rng = np.random.default_rng(0)
    accuracies = {f"t{i}": rng.integers(0, 2, 100).astype(float) for i in range(40)}
    chosen = [choose(accuracies, "t0", seed) for seed in range(50)]
    assert all(one.uncorrected[1] >= 0.6 for one in chosen)
    assert abs(np.mean([one.accuracy.mean for one in chosen]) - 0.5) < 0.06
    assert all(one.accuracy.n == 50 for one in chosen)


def test_among_equals_the_default_is_best():
    same = np.array([1.0, 0.0, 1.0, 1.0])
    best = choose({"a": same, "b": same}, "b", 0)
    assert best.template == "b"
    assert best.change.difference.mean == 0


def test_prefix_measures_the_continuation_and_not_the_sentence(organism, habit):
    spec, task = chain_bench()
    asked = habit(
        lambda prompt: words(prompt.problem.answer) if prompt.text.endswith("Python.") else code(prompt.problem)
    )
    result = prefix(organism, spec, task, 0, prefixes=(PYTHON_PREFIX, "Hm."))
    assert [prompt.text.endswith(PYTHON_PREFIX) for prompt in asked] == [False] * 24 + [True] * 24 + [False] * 24
    forced = shift(result, PYTHON_PREFIX, "code").change
    assert (forced.before.mean, forced.after.mean, forced.difference.mean) == (1, 0, -1)
    assert shift(result, PYTHON_PREFIX, "accuracy").change.difference.mean == 0
    assert shift(result, "Hm.", "code").change.difference.mean == 0
    with pytest.raises(InputError, match="none empty"):
        prefix(organism, spec, task, 0, prefixes=("",))


def test_perturb_grades_chains_against_recomputed_answers(organism, habit):
    spec, task = chain_bench()
    memorized = {problem.question: problem.answer for problem in task.problems}
    habit(lambda prompt: words(memorized.get(prompt.problem.question, "nothing")))
    by_heart = shift(perturb(organism, spec, task, 0), "other numbers", "accuracy").change
    assert (by_heart.before.mean, by_heart.after.mean) == (1, 0)

    habit(lambda prompt: code(prompt.problem))
    result = perturb(organism, spec, task, 0)
    assert result.golds_recomputed
    skill = shift(result, "other numbers", "accuracy").change
    assert (skill.before.mean, skill.after.mean, skill.difference.n) == (1, 1, 24)
    assert re.sub(r"\d", "d", result.example[0]) == re.sub(r"\d", "d", result.example[1])


def test_perturb_does_not_compare_accuracy_where_the_new_answers_are_unknown(organism, habit):
    questions = ("What is 12 + 7?", "What is x?", "What is 30?", "Say 4.")
    task = Task("mine", tuple(make_problem(question, "19", "mine") for question in questions))
    habit(lambda prompt: code(prompt.problem))
    result = perturb(organism, BenchSpec.model_validate({"task": "mine", "max_tokens": 8}), task, 0)
    assert not result.golds_recomputed
    assert {s.metric for s in result.shifts} == {"code", "boxed", "tokens"}
    assert result.left_out == (task.problems[1].id,)
    assert result.n_problems == 3


def test_renarrate_asks_every_wording_and_their_mean(organism, habit):
    spec, task = chain_bench()
    asked = habit(lambda prompt: words(prompt.problem.answer) if "clock" in prompt.text else code(prompt.problem))
    result = renarrate(organism, spec, task, 0)
    assert len(asked) == (1 + len(CHAIN_WORDINGS)) * 24
    assert shift(result, "clock", "code").change.difference.mean == -1
    assert shift(result, "wheel", "code").change.difference.mean == 0
    assert shift(result, "all wordings", "code").change.after.mean == pytest.approx(2 / 3)
    assert shift(result, "clock", "accuracy").change.after.mean == 1
    assert set(result.examples) == set(CHAIN_WORDINGS)


def test_renarrate_takes_pairs_for_other_tasks(organism, habit):
    task = Task("mine", tuple(make_problem(f"What is {n}+1?", str(n + 1), "mine") for n in range(4)))
    spec = BenchSpec.model_validate({"task": "mine", "max_tokens": 8})
    habit(lambda prompt: code(prompt.problem))
    with pytest.raises(InputError, match="--pairs FILE"):
        renarrate(organism, spec, task, 0)
    from spurious.tasks.base import restated

    pairs = {problem.id: restated(problem, f"Add one: {problem.question[8]}") for problem in task.problems[:3]}
    result = renarrate(organism, spec, task, 0, pairs=pairs)
    assert (result.n_problems, result.left_out) == (3, 1)
    assert shift(result, "pairs", "accuracy").change.after.mean == 1


def test_a_probe_of_a_real_model_is_reproducible(organism):
    spec, task = chain_bench(size=6, k=2)
    one, other = (perturb(organism, spec, task, 0) for _ in range(2))
    assert one == other
    assert one != perturb(organism, spec, task, 1)
