"""What is made before the runs that need it: a model's own votes."""

import json
import os
import signal
import time

import polars as pl
import pytest

from spurious.cli.study import _plan_text
from spurious.errors import DataError, SpecError
from spurious.store import model_digest, read_manifest
from spurious.study import open_study
from spurious.study.cells import distinct, expand
from spurious.study.child import _TASKS
from spurious.study.launch import Watch, run_study
from spurious.study.plan import plan_studies
from spurious.study.record import folder
from spurious.study.spec import resolve
from spurious.study.worker import Worker
from spurious.voting import journal_path

TASK = {"chain": {"steps": 1, "size": 48}}
ARMS = {
    "majority vote": {"role": "treatment", "reward": "ground_truth", "label": {"majority": {"votes": "own"}}},
    "incorrect": {"role": "placebo", "reward": "ground_truth", "label": {"incorrect_only": {"votes": "own"}}},
    "least common": {"role": "placebo", "reward": "ground_truth", "label": {"least_common": {"votes": "own"}}},
    "coin": {"role": "placebo", "reward": "random"},
}
VOTES = {"k": 32, "max_tokens": 16}


@pytest.fixture
def voted(small, organism_dir):
    """Makes the fields of a study three of whose arms read the model's own votes."""

    def fields(**changes):
        made = small(organism_dir, **{"arms": ARMS, "votes": VOTES, "seeds": 2, **changes})
        made["base"] = {**made["base"], "task": TASK}
        return made

    return fields


def ballots(planned):
    return {made.key for one in planned for made in one.first}


def test_arms_and_seeds_share_one_table_and_wait_for_it(voted, tmp_path):
    planned = expand(resolve(voted()), tmp_path)
    assert {one.cell.arm for one in planned if one.cell.fingerprint is None} == {*ARMS} - {"coin"}
    assert len(ballots(planned)) == 1
    assert len(list(distinct(planned))) == 8
    assert {one.cell.first for one in planned if one.first} == {("votes of organism, 32 on each of 48 problems",)}
    (plan,) = plan_studies([resolve(voted())], tmp_path)
    assert (plan.runs, plan.owed) == (8, 8)
    assert "to be made first: votes of organism, 32 on each of 48 problems\n" in _plan_text(plan)


def test_votes_are_named_by_all_that_decides_them_and_by_nothing_else(voted, tmp_path):
    def table(base=None, **changes):
        fields = voted(**changes)
        fields["base"] = {**fields["base"], **(base or {})}
        (key,) = ballots(expand(resolve(fields), tmp_path))
        return key

    same = [
        table(),
        table(name="other", seeds=[7]),
        table(base={"steps": 5, "sampling": {"max_tokens": 9}, "sampling_rows": 64}),
        table(base={"task": {"name": "chain", "args": {"steps": 1, "size": 48}, "template": "organism"}}),
        table(votes={**VOTES, "temperature": 1.0}),
    ]
    others = [
        table(votes={"k": 32}),
        table(votes={**VOTES, "k": 33}),
        table(votes={**VOTES, "temperature": 0.9}),
        table(votes={**VOTES, "extraction": "strict"}),
        table(base={"task": {"chain": {"steps": 1, "size": 47}}}),
        table(base={"task": {**{"name": "chain", "args": TASK["chain"]}, "prefix": "So: "}}),
        table(base={"sampling": {"max_tokens": 8, "stop": ["."]}}),
        table(base={"dtype": "bfloat16"}),
    ]
    assert len(set(same)) == 1
    assert len({*same, *others}) == 1 + len(others)


def test_votes_wait_for_the_organism_that_is_asked(voted, tmp_path):
    planned = expand(resolve(voted(models={"good": {"organism": "good-code"}})), tmp_path)
    by_arm = {one.cell.arm: one.cell.first for one in planned}
    votes = "votes of good, 32 on each of 48 problems"
    assert by_arm["majority vote"] == ("organism good", votes)
    assert by_arm["coin"] == ("organism good",)
    assert [made.title for one in planned for made in one.first if not made.first] == ["organism good"] * 8


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ({"majority": {"votes": "own", "n": 2}}, ["args.n", "unknown"]),
        ({"nth_vote": {"votes": "own"}}, ["args.n", "missing"]),
        ({"nth_vote": {"votes": "own", "n": 0}}, ["nth_vote", "0"]),
        ({"near": {"votes": "own"}}, ["args.votes", "unknown"]),
        ({"majrity": {"votes": "own"}}, ["majrity", "least_common"]),
    ],
)
def test_a_label_is_checked_before_its_votes_are_there(voted, tmp_path, label, words):
    study = voted(arms={"odd one": {"role": "control", "reward": "ground_truth", "label": label}})
    with pytest.raises(SpecError) as caught:
        expand(resolve(study), tmp_path)
    for word in ["'odd one'", *words]:
        assert word in str(caught.value)


def test_a_table_of_somebody_elses_votes_is_read_though_the_model_is_not_there_yet(voted, tmp_path):
    label = {"majority": {"votes": str(tmp_path / "none.parquet")}}
    arms = {"odd one": {"role": "control", "reward": "ground_truth", "label": label}}
    with pytest.raises(DataError, match=r"'odd one' on 'good'.*none\.parquet"):
        expand(resolve(voted(arms=arms, models={"good": {"organism": "good-code"}})), tmp_path)


@pytest.mark.parametrize("wrong", [{"k": 0}, {"temperature": 0}, {"max_tokens": 0}, {"extraction": "x"}, {"n": 1}])
def test_settings_of_votes_are_checked(voted, wrong):
    with pytest.raises(SpecError, match=f"votes.{next(iter(wrong))}"):
        resolve(voted(votes=wrong))


TUNED = {"reward": "random", "steps": 2, "seed": 1, "grpo": {"lr": 1e-3}}


def test_a_model_that_is_trained_first_is_one_run_for_every_study_and_seed(voted, organism_dir, tmp_path):
    def trained(**changes):
        fields = voted(models={"tuned": {"source": str(organism_dir), "after": {**TUNED, **changes.pop("after", {})}}})
        planned = expand(resolve({**fields, **changes}), tmp_path)
        return {made.key: made for one in planned for made in one.first if not made.first}

    ((key, made),) = trained().items()
    assert made.title == "model tuned, 2 steps of random, seed 1"
    assert made.spec.benches == ()
    assert (made.spec.grpo.lr, made.spec.grpo.group_size) == (1e-3, 4)
    bench = {"task": {"chain": {"steps": 1, "size": 3}}, "max_tokens": 9, "name": "chain"}
    assert list(trained(name="other", seeds=[5], benches=[bench])) == [key]
    assert list(trained(after={"seed": 2})) != [key]


def test_what_is_made_first_waits_for_what_it_is_made_of(voted, tmp_path):
    after = {**TUNED, "reward": "ground_truth", "label": {"majority": {"votes": "own"}}}
    study = resolve(voted(models={"tuned": {"organism": "good-code", "after": after}}, seeds=1))
    by_arm = {one.cell.arm: one.cell.first for one in expand(study, tmp_path)}
    votes = "votes of tuned, 32 on each of 48 problems"
    trained = ("organism tuned", votes, "model tuned, 2 steps of ground_truth, seed 1")
    assert by_arm["coin"] == trained
    assert by_arm["majority vote"] == (*trained, votes)


@pytest.mark.slow
def test_a_model_is_trained_first_and_runs_start_from_its_last_checkpoint(small, organism_dir, tmp_path):
    models = {"plain": str(organism_dir), "tuned": {"source": str(organism_dir), "after": TUNED}}
    arms = {"coin": ARMS["coin"]}
    study, store = resolve(small(organism_dir, models=models, arms=arms, seeds=1)), tmp_path / "store"
    assert run_study(study, store).complete
    (made,) = store.glob("*--s1--*")
    plain, tuned = open_study(folder(store, study.name)).cells
    assert (plain.state, tuned.state) == ("done", "done")
    manifest = read_manifest(tuned.directory)
    assert manifest["spec"]["model"] == str(made / "checkpoints" / "000002")
    assert manifest["inputs"]["model"] == model_digest(manifest["spec"]["model"]) != model_digest(str(organism_dir))
    assert f"--{made.name[-8:]}-000002--" in tuned.directory.name
    assert open_study(folder(store, study.name)).source("tuned") == manifest["spec"]["model"]
    (plan,) = plan_studies([study], store)
    assert (plan.done, plan.owed, plan.first) == (2, 0, {})


class Said(Watch):
    def __init__(self):
        self.said = []

    def say(self, message):
        self.said.append(message)


@pytest.mark.slow
def test_votes_are_sampled_once_through_a_kill_and_feed_the_arms(voted, tmp_path):
    study, store = resolve(voted(seeds=1)), tmp_path / "store"
    (votes,) = {made.key: made for one in expand(study, store) for made in one.first}.values()
    killed = Worker("votes", {**votes.request(), "data": None}, tmp_path / "log")
    journal, deadline = journal_path(votes.table), time.monotonic() + 120
    while not journal.exists() or len(journal.read_text().splitlines()) < 3:
        assert time.monotonic() < deadline, killed.log.read_text()
        time.sleep(0.01)
    os.kill(killed._process.pid, signal.SIGKILL)
    killed.close()
    assert not votes.there

    watch = Said()
    outcome = run_study(study, store, watch=watch)
    assert (outcome.done, outcome.complete, watch.said) == (4, True, [])
    assert votes.there
    record = json.loads(votes.record.read_text())
    assert not record["whole"]  # the killed process had sampled some of them
    assert record["labels"]["problems"] == 48
    assert {cell.state for cell in open_study(folder(store, study.name)).cells} == {"done"}

    undisturbed = tmp_path / "undisturbed"
    _TASKS["votes"](
        {
            **votes.request(),
            "table": str(undisturbed / votes.table.name),
            "record": str(undisturbed / "record.json"),
            "data": None,
        },
        lambda _: None,
    )
    assert votes.table.read_bytes() == (undisturbed / votes.table.name).read_bytes()

    before = votes.table.stat().st_mtime_ns
    again = resolve(voted(name="again", seeds=[0, 3]))
    (plan,) = plan_studies([again], store)
    assert (plan.runs, plan.done, plan.first) == (8, 4, {})
    assert run_study(again, store).complete
    assert votes.table.stat().st_mtime_ns == before

    told = open_study(folder(store, study.name)).rollouts()
    winners = pl.read_parquet(votes.table).sort("votes", "answer", descending=True).group_by("problem_id").first()
    expected = dict(winners.filter(pl.col("votes") > 0).select("problem_id", "text").iter_rows())
    majority = told.filter(pl.col("arm") == "majority vote")
    assert {row["problem_id"]: row["label"] for row in majority.iter_rows(named=True)}.items() <= expected.items()
    wrong = told.filter(pl.col("arm") == "incorrect")
    assert wrong.height
    assert (wrong["label"] != wrong["answer"]).all()


@pytest.mark.slow
def test_an_arm_whose_votes_label_no_problem_is_reported_and_the_others_run(voted, tmp_path):
    store = tmp_path / "store"
    study = resolve(voted(seeds=1))
    assert run_study(study, store, only=["majority vote"]).complete
    (table,) = (store / "votes").glob("*.parquet")
    rows = pl.read_parquet(table)
    rows.filter(pl.col("votes") == 0).write_parquet(table)  # as if nothing had been answered
    table.with_name("digests.txt").unlink()
    watch = Said()
    outcome = run_study(study, store, only=["incorrect", "coin"], watch=watch)
    assert (outcome.done, len(outcome.failures), outcome.not_started) == (1, 1, 0)
    assert "incorrect on organism, seed 0: failed" in watch.said[0]
    assert "leaves no problem to train on" in watch.said[0]
    states = {cell.arm: (cell.state, cell.fingerprint) for cell in open_study(folder(store, study.name)).cells}
    assert states["incorrect"] == ("failed", None)
    assert states["coin"][0] == "done"
