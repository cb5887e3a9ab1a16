import subprocess
import sys
from pathlib import Path

import pytest

from spurious.errors import InputError, StoreError
from spurious.store.state import find_run
from spurious.study.cells import distinct, expand, starts
from spurious.study.plan import plan_studies, shared_runs
from spurious.study.spec import resolve


def test_the_grid_goes_seed_by_seed(small, organism_dir, tmp_path):
    cells = [one.cell for one in expand(resolve(small(organism_dir)), tmp_path)]
    assert [(cell.seed, cell.arm) for cell in cells] == [(0, "truth"), (0, "coin"), (1, "truth"), (1, "coin")]
    assert len({cell.fingerprint for cell in cells}) == 4
    for cell in cells:
        assert cell.directory.name.endswith(f"--s{cell.seed}--{cell.fingerprint}")


def test_arms_that_are_the_same_run_are_one_run(small, organism_dir, tmp_path):
    study = small(organism_dir, seeds=1)
    study["arms"]["same coin"] = {"role": "control", "reward": "random", "overrides": {"save_every": 1}}
    study["arms"]["spelled out"] = {"role": "control", "reward": {"random": {"gamma": 0.5}}}
    planned = expand(resolve(study), tmp_path)
    assert len(planned) == 4
    assert [one.cell.arm for one in distinct(planned)] == ["truth", "coin"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("reward", {"random": {"gamma": 0.1}}), ("reward", {"resampled": "random"}), ("label", "shuffled")],
)
def test_arms_that_pay_or_tell_otherwise_are_runs_of_their_own(small, organism_dir, tmp_path, field, value):
    study = small(organism_dir, seeds=1)
    study["arms"]["other"] = {"role": "control", "reward": "random", field: value}
    assert len(list(distinct(expand(resolve(study), tmp_path)))) == 3


def test_a_run_is_found_whoever_declared_it(small, organism_dir, tmp_path):
    study = resolve(small(organism_dir, seeds=1))
    cell = expand(study, tmp_path)[0].cell
    elsewhere = tmp_path / f"another-name--{cell.fingerprint}"
    elsewhere.mkdir()
    assert expand(study, tmp_path)[0].cell.directory == elsewhere
    complete = tmp_path / f"yet-another--{cell.fingerprint}"
    complete.mkdir()
    (complete / "DONE").touch()
    assert find_run(tmp_path, cell.fingerprint) == complete
    assert find_run(tmp_path, "00000000") is None


def test_studies_share_runs(small, organism_dir, tmp_path):
    one = resolve(small(organism_dir, seeds=2))
    other = resolve(small(organism_dir, name="other", seeds=[1, 2]))
    plans = plan_studies([one, other], tmp_path)
    assert [plan.runs for plan in plans] == [4, 4]
    assert shared_runs(plans) == 2
    assert [plan.owed for plan in plans] == [4, 4]
    assert plans[0].seconds is None


def test_an_organism_that_is_not_built_leaves_the_run_without_a_name(small, organism_dir, tmp_path):
    study = small(organism_dir, models={"good": {"organism": "good-code"}, "there": str(organism_dir)}, seeds=1)
    study["arms"]["same coin"] = {"role": "control", "reward": "random"}
    planned = expand(resolve(study), tmp_path)
    assert {one.cell.model for one in planned if one.cell.fingerprint is None} == {"good"}
    assert all((one.cell.directory is None) == (one.cell.fingerprint is None) for one in planned)
    assert len(list(distinct(planned))) == 4
    plan = plan_studies([resolve(study)], tmp_path)[0]
    assert plan.first == {"organism good": None}
    assert {cell.first for cell in plan.cells if cell.model == "good"} == {("organism good",)}


def test_the_place_of_an_organism_may_not_be_taken(small, organism_dir, tmp_path):
    study = resolve(small(organism_dir, models={"good": {"organism": "good-code"}}))
    place = Path(starts(study, tmp_path)["good"].source)
    place.mkdir(parents=True)
    (place / "something").touch()
    with pytest.raises(StoreError, match="not an organism"):
        expand(study, tmp_path)


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ({"reward": "no_such_reward"}, ["no_such_reward"]),
        ({"reward": {"random": {"gama": 1}}}, ["gama"]),
        ({"reward": "random", "label": "no_such_label"}, ["no_such_label"]),
        ({"reward": "random", "overrides": {"task": {"chain": {"colour": 1}}}}, ["colour"]),
        ({"reward": "random", "overrides": {"sampling": {"temperature": 0}}}, ["temperature"]),
        ({"reward": "missing.py:pay"}, ["missing.py"]),
    ],
)
def test_an_arm_that_cannot_be_run_is_named(small, organism_dir, tmp_path, arm, words):
    study = small(organism_dir, arms={"odd one": {"role": "control", **arm}})
    with pytest.raises(InputError) as caught:
        expand(resolve(study), tmp_path)
    for word in ["'odd one'", *words]:
        assert word in str(caught.value)


def test_planning_does_not_import_torch(tmp_path):
    script = (
        "import sys\nfrom pathlib import Path\nfrom spurious.study import open_study\n"
        "from spurious.study import cells, costs, display, launch, plan\n"
        f"study = open_study('studies/demo.yaml', Path({str(tmp_path)!r}))\n"
        "assert len(study.cells) == 18\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=__file__.rsplit("/tests/", 1)[0])
