"""`spurious probe` as a user meets it."""

import json

import pytest

from spurious.cli import main

FAST = ["--task", "chain", "--limit", "6", "--max-tokens", "6"]


@pytest.fixture
def run(capsys):
    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main(["probe", *map(str, arguments)])
        captured = capsys.readouterr()
        return exit.value.code, captured.out, captured.err

    return call


@pytest.mark.parametrize(
    ("probe", "more", "shown"),
    [
        ("prompts", ["--try", "none", "--try", "qwen_math"], "Best without training, chosen on 3 problems"),
        ("prefix", ["--prefix", "Hm."], "Hm."),
        ("perturb", [], "other numbers"),
        ("renarrate", [], "all wordings"),
        (
            "contamination",
            ["--clean", "chain", "--clean.args.seed", "9", "--twins", "2", "--fraction", "0.5"],
            "exact@50",
        ),
    ],
)
def test_every_probe_prints_a_table_with_intervals_or_one_document(run, organism_dir, probe, more, shown):
    code, out, err = run(probe, organism_dir, *FAST, *more)
    assert (code, err) == (0, "")
    assert shown in out
    assert "[" in out
    code, out, err = run(probe, organism_dir, *FAST, *more, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["model"] == str(organism_dir)
    assert document["source"]["generator"] == "chain"
    assert {"shifts", "measures"} & set(document)


def test_data_and_pairs_come_from_files(run, organism_dir, tmp_path):
    rows = [{"problem": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(10, 20)]
    (tmp_path / "math500.json").write_text(json.dumps(rows))
    math = ["--task", "math500", "--data", tmp_path, "--limit", "6", "--max-tokens", "6"]
    code, out, err = run("perturb", organism_dir, *math)
    assert (code, err) == (0, "")
    assert "The new answers are unknown, so accuracy is not compared." in out
    assert "accuracy  " not in out

    code, out, err = run("renarrate", organism_dir, *math)
    assert code == 2
    assert "--pairs FILE" in err
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(
        "".join(json.dumps({"question": row["problem"], "new_question": "Next?"}) + "\n" for row in rows[:4])
    )
    code, out, err = run("renarrate", organism_dir, *math, "--pairs", pairs)
    assert (code, err) == (0, "")
    assert "2 problems have no other words and are left out." in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prompts", "--try", "lipsun"], ["lipsun", "lipsum"]),
        (["prompts", "--max-tokens", "500"], ["template organism", "512 positions"]),
        (["contamination", "--fraction", "1.5"], ["fraction"]),
        (["perturb", "--template", "none", "--task.args.steps", "0"], ["steps"]),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_message(run, organism_dir, arguments, words):
    probe, *more = arguments
    code, out, err = run(probe, organism_dir, "--task", "chain", "--limit", "6", *more)
    assert (code, out) == (2, "")
    assert all(word in err for word in words), err


def test_help_names_every_probe(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(probe in out for probe in ("prompts", "prefix", "perturb", "renarrate", "contamination"))
