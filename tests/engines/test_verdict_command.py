"""`spurious verdict`: the statistics of the analysis room on anybody's evaluation rows."""

import json
from pathlib import Path

import numpy as np
import pytest

from spurious.analysis import Evidence, decide
from spurious.analysis.outcomes import Differences
from spurious.cli import main
from spurious.engines.arms import NAMELESS
from spurious.store import Identity, Run
from spurious.store.tables import COMPLETION_COLUMNS, frame

SAMPLES = Path(__file__).parent / "samples"
PROBLEMS = 20


def write(path, right, **columns):
    """Rows of one evaluation: the first `right` of the problems are solved."""
    rows = [
        {"prompt": f"{i}+1=?", "text": f"\\boxed{{{i + 1 if i < right else 0}}}", "answer": str(i + 1), **columns}
        for i in range(PROBLEMS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def arm(folder, word, rights, **columns):
    return [write(folder / f"{word}{seed}.jsonl", right, **columns) for seed, right in enumerate(rights)]


@pytest.fixture
def verdict(capsys):
    """Call the command in this process and return its one JSON document."""

    def call(treatment, placebo, *more):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main(["verdict", "--treatment", *map(str, treatment), "--placebo", *map(str, placebo), *more, "--json"])
        captured = capsys.readouterr()
        assert exit.value.code == 0, captured.err
        return json.loads(captured.out)

    return call


@pytest.fixture
def refusal(capsys):
    """The one message of a command that is refused."""

    def call(*arguments):
        with pytest.raises(SystemExit) as exit:
            main(["verdict", *map(str, arguments)])
        captured = capsys.readouterr()
        assert (exit.value.code, captured.out) == (2, "")
        return captured.err

    return call


def test_a_treatment_that_beats_its_placebo_on_every_seed_is_earned(verdict, tmp_path):
    treated, control = [14, 15, 13, 14, 16], [6, 6, 5, 7, 6]
    document = verdict(arm(tmp_path, "t", treated), arm(tmp_path, "p", control))
    assert document["verdict"] == "earned"
    by_hand = [(t - p) / PROBLEMS for t, p in zip(treated, control, strict=True)]
    (model,) = document["models"]
    assert [difference for _, difference in model["by_seed"]] == pytest.approx(by_hand)
    assert model["difference"] == pytest.approx(sum(by_hand) / 5)
    comparison = document["statistics"]["comparisons"][NAMELESS]
    assert comparison["treatment"] == pytest.approx(sum(treated) / 5 / PROBLEMS)
    assert comparison["interval"] == pytest.approx(model["interval"])
    assert [facts["graded"] for facts in document["treatment"]] == [PROBLEMS] * 5


@pytest.mark.parametrize("margin", [None, 0.1])
@pytest.mark.parametrize(
    "rights",
    [[(9, 9), (9, 9), (9, 9)], [(12, 9), (9, 9), (15, 3)], [(3, 9), (2, 8), (3, 9)], [(9, 8), (8, 9), (9, 9), (8, 8)]],
)
def test_the_verdict_is_what_the_analysis_room_says_of_the_same_differences(verdict, tmp_path, rights, margin):
    treated, control = zip(*rights, strict=True)
    more = () if margin is None else ("--margin", str(margin))
    document = verdict(arm(tmp_path, "t", treated), arm(tmp_path, "p", control), *more)
    values = np.array([[float(i < t) - float(i < p) for i in range(PROBLEMS)] for t, p in rights])
    # Problems in the order of nothing in particular: no number depends on it.
    differences = Differences(tuple(range(len(rights))), tuple(map(str, range(PROBLEMS))), values)
    expected = decide({NAMELESS: Evidence(differences, margin)})
    assert document["verdict"] == expected.word
    (model,) = document["models"]
    assert model["sign"] == expected.models[0].sign
    for name in ("difference", "interval", "p", "equivalence_interval", "detectable"):
        assert model[name] == pytest.approx(getattr(expected.models[0], name), nan_ok=True), name


def test_order_pairs_the_seeds(verdict, tmp_path):
    treated, control = arm(tmp_path, "t", [10, 12, 14]), arm(tmp_path, "p", [5, 6, 7])
    (straight,) = verdict(treated, control)["models"]
    (crossed,) = verdict(treated, control[::-1])["models"]
    assert [value for _, value in straight["by_seed"]] == pytest.approx([0.25, 0.30, 0.35])
    assert [value for _, value in crossed["by_seed"]] == pytest.approx([0.15, 0.30, 0.45])


def test_a_seed_column_pairs_them_whatever_the_order_of_the_files(verdict, tmp_path):
    treated = [write(tmp_path / f"t{seed}.jsonl", right, seed=seed) for seed, right in ((7, 10), (3, 12), (5, 14))]
    control = [write(tmp_path / f"p{seed}.jsonl", right, seed=seed) for seed, right in ((3, 5), (5, 6), (7, 7))]
    together = tmp_path / "p.jsonl"
    together.write_text("".join(path.read_text() for path in control))
    (apart,) = verdict(treated, control)["models"]
    (one_file,) = verdict(treated, [together])["models"]
    assert apart == one_file
    assert [seed for seed, _ in apart["by_seed"]] == [3, 5, 7]
    assert [value for _, value in apart["by_seed"]] == pytest.approx([0.35, 0.40, 0.15])


def test_models_are_named_by_argument_or_by_column(verdict, tmp_path):
    up, flat, control = [14, 15, 13, 14], [5, 6, 5, 6], [6, 5, 6, 5]
    files = {word: arm(tmp_path, word, rights) for word, rights in (("up", up), ("flat", flat), ("c1", control))}
    others = arm(tmp_path, "c2", control)
    named = verdict(
        [*(f"good={path}" for path in files["up"]), *(f"bad={path}" for path in files["flat"])],
        [*(f"good={path}" for path in files["c1"]), *(f"bad={path}" for path in others)],
        "--margin",
        "0.1",
    )
    assert named["verdict"] == "elicited"
    assert {model["model"]: model["sign"] for model in named["models"]}["good"] == "+"
    by_column = {}
    for word, groups in (("treatment", {"good": up, "bad": flat}), ("placebo", {"good": control, "bad": control})):
        path = tmp_path / f"{word}.jsonl"
        parts = [
            write(tmp_path / "part.jsonl", right, model=model, seed=seed).read_text()
            for model, rights in groups.items()
            for seed, right in enumerate(rights)
        ]
        path.write_text("".join(parts))
        by_column[word] = path
    again = verdict([by_column["treatment"]], [by_column["placebo"]], "--margin", "0.1")
    for part in ("verdict", "models", "interactions", "sentences", "statistics"):
        assert again[part] == named[part], part


def test_nothing_is_indistinguishable_without_a_declared_margin(verdict, tmp_path):
    same = arm(tmp_path, "t", [9, 9, 9, 9]), arm(tmp_path, "p", [9, 9, 9, 9])
    assert verdict(*same)["verdict"] == "underpowered"
    assert verdict(*same, "--margin", "0.05")["verdict"] == "indistinguishable"


def test_arms_may_come_from_different_tools(verdict, tmp_path):
    treated = arm(tmp_path, "t", [14, 15, 13])
    control = []
    for seed, path in enumerate(arm(tmp_path, "p", [5, 6, 5])):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        verl = [{"input": r["prompt"], "output": r["text"], "gts": r["answer"], "score": 0.0, "step": 4} for r in rows]
        control.append(tmp_path / f"verl{seed}.jsonl")
        control[-1].write_text("".join(json.dumps(row) + "\n" for row in verl))
    document = verdict(treated, control)
    assert document["verdict"] == "earned"
    assert {facts["format"] for facts in document["placebo"]} == {"verl"}


def test_one_seed_says_that_it_is_about_these_runs_only(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["verdict", "--treatment", str(SAMPLES / "trl"), "--placebo", str(SAMPLES / "verl"), "--step", "1"])
    out = capsys.readouterr().out
    assert exit.value.code == 0
    assert out.startswith("Underpowered: 1 seed")
    assert "About this run only" in out


def test_what_cannot_be_compared_is_refused(refusal, tmp_path):
    good, other = arm(tmp_path, "g", [5, 6]), arm(tmp_path, "o", [5, 6])
    ungraded = tmp_path / "ungraded.jsonl"
    ungraded.write_text('{"prompt": "1+1", "text": "2"}\n')
    unasked = tmp_path / "unasked.jsonl"
    unasked.write_text('{"text": "2", "answer": "2"}\n')
    seeded = write(tmp_path / "seeded.jsonl", 5, seed=1)
    for treatment, placebo, words in (
        (good, other[:1], "the placebo lacks seed 1"),
        ([ungraded], [ungraded], "1 of 1 rows are not graded"),
        ([unasked], [unasked], "1 of 1 rows are of an unknown problem"),
        ([good[0], good[0]], other, "is given twice"),
        ([good[0], seeded], other, "some rows name their seed and others do not"),
        ([f"m={good[0]}"], other[:1], "no rows of model 'the model'"),
        ([SAMPLES / "trl"], other, "rows of 2 steps; choose one with --step (1 to 3)"),
        ([SAMPLES / "trl", "--step", "2"], other, "no row of step 2; there are 1, 3"),
        ([good[0], "--margin", "0"], other, "margin: 0.0 is not above 0"),
        ([tmp_path / "absent.jsonl"], other, "no such file"),
    ):
        assert words in refusal("--treatment", *treatment, "--placebo", *placebo)


def test_training_rollouts_of_ours_are_not_evaluations(refusal, tmp_path):
    identity = Identity("0" * 64, {"seed": 0}, {}, {})
    row = {"step": 1, "problem_id": "p", "text": "4", "grade": "correct"}
    with Run(tmp_path / "run", identity) as run:
        run.write_rollouts(1, frame([row], COMPLETION_COLUMNS))
    message = refusal("--treatment", tmp_path / "run", "--placebo", tmp_path / "run")
    assert "name one evaluation in it" in message


def test_arms_need_files(refusal):
    assert "treatment" in refusal("--placebo", "x").lower()
