"""Prompts that were tried without training are found wherever in the store they were measured."""

import pytest

from spurious.cli.report import material
from spurious.grpo.trainer import train
from spurious.report import answer
from spurious.study import open_study
from spurious.study.cells import expand
from spurious.study.prompts import prompted_rows
from spurious.study.record import folder, write_study
from spurious.study.spec import resolve

TASK = {"name": "chain", "args": {"steps": 1, "size": 4}}


def bench(**changes):
    task = {name: changes.pop(name) for name in ("template", "prefix") if name in changes}
    return {"task": {**TASK, **task}, "max_tokens": 8, "name": "chain", **changes}


@pytest.fixture(scope="module")
def store(small, organism_dir, tmp_path_factory):
    """A study that trains one arm, and another that tried two prompts of its own without training."""
    store = tmp_path_factory.mktemp("store")
    arms = {"coin": {"role": "placebo", "reward": "random"}}
    only = {"arms": arms, "seeds": 1}
    made = {
        "trained": small(organism_dir, name="trained", benches=[bench()], **only),
        "tried": small(
            organism_dir,
            name="tried",
            base={**small(organism_dir)["base"], "steps": 0},
            benches=[
                bench(prefix="```python\n"),
                bench(template="none", name="bare"),
                bench(template="none", name="longer", max_tokens=9),
                bench(template="none", name="sampled", k=2),
                bench(template="none", name="others", task={"name": "chain", "args": {"steps": 2, "size": 4}}),
            ],
            **only,
        ),
    }
    for fields in made.values():
        study = resolve(fields)
        planned = expand(study, store)
        for one in planned:
            train(one.spec, store=store)
        write_study(store, study, [one.cell for one in planned], len(planned))
    return store


def test_prompts_of_other_studies_on_the_same_problems_count(store):
    study = open_study(folder(store, "trained"))
    rows = prompted_rows(study)
    assert set(rows["prompt_name"]) == {
        "its usual prompt",
        "its usual prompt, its turn opened by '```python\\n'",
        "template none",
    }
    assert set(rows["model"]) == {"organism"}
    assert set(rows["step"]) == {0}
    problems = set(study.evals()["problem_id"])
    for (_, own), part in rows.group_by("model", "prompt_name"):
        assert (part.height, set(part["problem_id"])) == (4, problems), own


def test_the_report_sets_training_against_them(store):
    shown, _ = material(folder(store, "trained"), store)
    (one,) = answer(shown).references
    assert (one.model, one.tried) == ("organism", 3)
    assert one.arms["coin"].n_problems == 2


def test_other_weights_are_another_model(store, small, organism_dirs):
    arms = {"coin": {"role": "placebo", "reward": "random"}}
    fields = small(organism_dirs["llama"], name="elsewhere", benches=[bench()], seeds=1, arms=arms)
    study = resolve({**fields, "base": {**fields["base"], "steps": 0}})
    (planned,) = expand(study, store)
    write_study(store, study, [planned.cell], 0)
    assert prompted_rows(open_study(folder(store, "elsewhere"))).is_empty()  # nothing of it is done
    train(planned.spec, store=store)
    assert set(prompted_rows(open_study(folder(store, "elsewhere")))["prompt_name"]) == {"its usual prompt"}
