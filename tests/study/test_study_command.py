"""`spurious study` as a user meets it, without running anything."""

import io
import json
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import yaml
from rich.console import Console
from rich.progress import Progress

from spurious.cli import main
from spurious.errors import NumericalError
from spurious.store import Run
from spurious.study.cells import expand
from spurious.study.display import Bars, duration
from spurious.study.spec import resolve


@pytest.fixture
def call(capsys):
    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main(["study", *map(str, arguments)])
        captured = capsys.readouterr()
        return SimpleNamespace(out=captured.out, err=captured.err, code=exit.value.code)

    return run


@pytest.fixture
def path(small, organism_dir, tmp_path):
    study = tmp_path / "small.yaml"
    study.write_text(yaml.safe_dump(small(organism_dir, profiles={"one": {"seeds": 1}}), sort_keys=False))
    return study


def test_a_plan_says_what_there_is_to_do(call, path, tmp_path):
    result = call("plan", path, "--store", tmp_path / "store")
    assert result.code == 0
    assert "4 cells are 4 runs; 0 are there, 4 are owed" in result.out
    assert "cost: unknown" in result.out
    assert not (tmp_path / "store").exists()  # looking leaves nothing behind


def test_plans_of_a_folder_share_runs(call, path, tmp_path, small, organism_dir):
    other = small(organism_dir, name="other", seeds=[1, 2])
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))
    result = call("plan", tmp_path, "--store", tmp_path / "store", "--json")
    document = json.loads(result.out)
    assert [study["study"] for study in document["studies"]] == ["other", "small"]
    assert [study["runs"] for study in document["studies"]] == [4, 4]
    assert document["shared"] == 2


def test_studies_of_a_folder_without_the_profile_are_named_and_left_out(call, path, tmp_path, small, organism_dir):
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(small(organism_dir, name="other")))
    result = call("plan", tmp_path, "--profile", "one", "--store", tmp_path / "store", "--json")
    assert [study["study"] for study in json.loads(result.out)["studies"]] == ["small-one"]
    assert "no profile one, left out: other" in result.err
    result = call("plan", tmp_path, "--profile", "two", "--store", tmp_path / "store")
    assert result.code == 2
    assert "no study of this folder has a profile 'two'" in result.err


def test_a_profile_is_planned_under_its_own_name(call, path, tmp_path):
    document = json.loads(call("plan", path, "--profile", "one", "--store", tmp_path, "--json").out)
    assert document["studies"][0]["study"] == "small-one"
    assert document["studies"][0]["runs"] == 2


def test_status_shows_every_state(call, path, tmp_path):
    store = tmp_path / "store"
    study = resolve(yaml.safe_load(path.read_text()))
    planned = [(one.cell.directory, one.identity) for one in expand(study, store)]
    with Run(*planned[0]) as run:
        run.finish()
    with pytest.raises(NumericalError), Run(*planned[1]) as run:
        run.write_metrics({"step": 0})
        raise NumericalError("the loss is not finite")
    with Run(*planned[2]):
        text = call("status", path, "--store", store)
        document = json.loads(call("status", path, "--store", store, "--json").out)
    assert text.code == 0
    assert "failed after 1 steps" in text.out
    assert "coin on organism, seed 0: NumericalError: the loss is not finite" in text.out
    assert str(planned[1][0] / "logs" / "attempt-1.log") in text.out
    assert document["states"] == {"done": 1, "running": 1, "failed": 1, "owed": 1}
    assert [cell["state"] for cell in document["cells"]] == ["done", "failed", "running", "owed"]
    assert document["cells"][1]["error"] == "NumericalError: the loss is not finite"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "PATH", "--only", "nobody"], ["nobody", "truth, coin"]),
        (["run", "PATH", "--jobs", "0"], ["--jobs", "'0'"]),
        (["run", "PATH", "--jobs", "many"], ["--jobs", "'many'"]),
        (["run", "PATH", "--profile", "huge"], ["small.yaml", "'huge'", "one"]),
        (["plan", "missing.yaml"], ["missing.yaml"]),
        (["status", "STORE"], ["not the folder of a study"]),
        (["plan", "STORE"], ["no study"]),
    ],
)
def test_a_wrong_request_is_named(call, path, tmp_path, arguments, words):
    store = tmp_path / "store"
    store.mkdir()
    places = {"PATH": path, "STORE": store}
    result = call(*(places.get(one, one) for one in arguments), "--store", store)
    assert result.code == 2, result.err
    assert result.out == ""
    for word in words:
        assert word in result.err.replace("\n", " ")


@dataclass(frozen=True)
class AtWork:
    """What the display reads of a worker."""

    title: str
    stage: str
    done: int
    total: int
    note: str
    share: float


def test_the_display_counts_runs_and_shares_of_runs():
    console = Console(file=io.StringIO(), force_terminal=True, width=160)
    with Progress(console=console, auto_refresh=False) as bars:
        display = Bars(bars)
        first = AtWork("coin on m, seed 0", "train", 5, 10, "reward 0.500", 0.5)
        second = AtWork("truth on m, seed 0", "starting", 0, 0, "", 0.0)
        display.show(2, 6, [first, second], None)
        whole, *lines = bars.tasks
        assert (whole.completed, whole.total) == (2.5, 6)
        assert whole.fields["note"] == "2 of 6 runs  time left not known yet"
        assert [line.description.strip() for line in lines] == ["coin on m, seed 0", "truth on m, seed 0"]
        display.show(3, 6, [second], 240)
        assert bars.tasks[0].fields["note"] == "3 of 6 runs  4 min left"
        assert len(bars.tasks) == 2
        display.say("[bold]as it is[/bold]")
    assert "[bold]as it is[/bold]" in console.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (3600, "60 min"), (12600, "3.5 h")]
)
def test_durations_for_people(seconds, words):
    assert duration(seconds) == words
