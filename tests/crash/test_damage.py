"""A file that a disk has changed after it was written is named; it is never read as other numbers."""

import json
import shutil

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spurious
from spurious.errors import SpuriousError, StoreError
from spurious.store import Identity, Run, final_checkpoint, read_manifest
from spurious.store.digests import Digests, check_noted, noted
from spurious.store.state import run_state
from spurious.study.record import declarations, read_study, write_study
from spurious.study.spec import resolve

SPEC = {"model": "m", "reward": {"name": "random"}, "label": {"name": "true"}, "seed": 0, "steps": 3}
IDENTITY = Identity("aaaaaaaa", SPEC, {"model": "1"}, {"operators": ["none"]})
STUDY = {
    "name": "small",
    "question": "Does a coin help?",
    "expectation": "It does not.",
    "base": {"task": {"chain": {"steps": 1, "size": 16}}, "steps": 2},
    "benches": [{"task": {"chain": {"steps": 1, "size": 4}}}],
    "arms": {"truth": {"role": "treatment", "reward": "ground_truth"}, "coin": {"role": "placebo", "reward": "random"}},
    "models": {"organism": "somewhere"},
    "seeds": 2,
    "primary": "accuracy@final on chain",
}


def table(step):
    return pl.DataFrame({"step": [step] * 3, "text": ["hi", "ho", "ha"], "reward": [0.25, 0.5, 1.0]})


def write(directory, steps=3, *, finish=True):
    with Run(directory, IDENTITY) as run:
        run.write_eval(0, "chain", table(0))
        for step in range(steps):
            run.write_metrics({"step": step, "reward/mean": 0.5, "entropy/mean": 0.1 * step})
            run.write_rollouts(step, table(step))
            run.write_checkpoint(step + 1, lambda folder: (folder / "model.safetensors").write_bytes(bytes(100)))
        run.write_eval(steps, "chain", table(steps))
        if finish:
            run.finish()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "r"
    write(path)
    return path


def read(directory):
    """Everything that anything reads of a run: tables, manifest, weights, state."""
    runs = spurious.load(directory)
    tables = [one.drop("directory", strict=False) for one in (runs.runs, runs.metrics, runs.rollouts, runs.evals)]
    weights = (final_checkpoint(directory) / "model.safetensors").read_bytes()
    state = run_state(directory)
    return [one.to_dicts() for one in tables], read_manifest(directory), weights, (state.state, state.steps)


def changed(whole, copy, name, change):
    """What is read, or the refusal, once `change` was made to the bytes of one file."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(change(data))
    try:
        return read(copy), ""
    except SpuriousError as error:
        return None, str(error)


FILES = (
    "manifest.json",
    "metrics.jsonl",
    "rollouts/000001.parquet",
    "evals/000003-chain.parquet",
    "checkpoints/000003/model.safetensors",
    "checkpoints/000003/digests.json",
    "digests.txt",
    "DONE",
)


@pytest.mark.parametrize("name", FILES)
def test_no_flipped_bit_changes_what_is_read(whole, tmp_path, name):
    expected = read(whole)

    @settings(max_examples=40)
    @given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    def flip(place, bit):
        def change(data):
            data = bytearray(data)
            data[int(place * len(data))] ^= 1 << bit
            return bytes(data)

        found, refusal = changed(whole, tmp_path / "r", name, change)
        assert found == expected or (found is None and str(tmp_path / "r") in refusal)

    flip()


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_named_or_harmless(whole, tmp_path, name):
    expected = read(whole)
    size = (whole / name).stat().st_size
    for length in {0, 1, size // 2, size - 1}:
        found, refusal = changed(whole, tmp_path / "r", name, lambda data, n=length: data[:n])
        assert found == expected or (found is None and str(tmp_path / "r") in refusal), length


@pytest.mark.parametrize("name", ["rollouts/000001.parquet", "evals/000003-chain.parquet", "digests.txt"])
def test_a_lost_file_of_a_complete_run_is_named(whole, tmp_path, name):
    shutil.copytree(whole, tmp_path / "r")
    (tmp_path / "r" / name).unlink()
    with pytest.raises(StoreError, match=f"{name}: missing"):
        read(tmp_path / "r")


def test_lost_lines_of_a_complete_run_are_named(whole, tmp_path):
    for kept in ([0, 1], [0, 2], [1, 2], []):
        shutil.copytree(whole, tmp_path / "r", dirs_exist_ok=True)
        lines = (whole / "metrics.jsonl").read_text().splitlines(keepends=True)
        (tmp_path / "r" / "metrics.jsonl").write_text("".join(lines[i] for i in kept))
        with pytest.raises(StoreError, match=r"metrics\.jsonl: damaged, the line of step \d is missing"):
            read(tmp_path / "r")


def test_a_damaged_table_is_found_before_a_run_goes_on(tmp_path):
    write(tmp_path / "r", finish=False)
    table(7).write_parquet(tmp_path / "r" / "rollouts" / "000001.parquet")
    with pytest.raises(StoreError, match=r"000001\.parquet: damaged"):
        Run(tmp_path / "r", IDENTITY)


def test_what_a_resumed_run_writes_again_is_whole_again(tmp_path):
    write(tmp_path / "r", 2, finish=False)
    with Run(tmp_path / "r", IDENTITY) as run:
        assert run.start_step == 2
        run.write_eval(2, "chain", table(5))
        run.write_metrics({"step": 2, "reward/mean": 0.25})
        run.write_rollouts(2, table(9))
        run.finish()
    runs = spurious.load(tmp_path)
    assert runs.metrics["step"].to_list() == [0, 1, 2]
    assert set(runs.rollouts["step"]) == {0, 1, 9}
    assert set(runs.evals["step"]) == {0, 5}


def test_a_run_from_before_there_were_digests_goes_on_and_is_read(tmp_path):
    write(tmp_path / "r", 2, finish=False)
    old = json.loads((tmp_path / "r" / "manifest.json").read_text())
    del old["digests"]
    (tmp_path / "r" / "manifest.json").write_text(json.dumps(old))
    (tmp_path / "r" / "digests.txt").unlink()
    assert spurious.load(tmp_path).rollouts.height == 6
    with Run(tmp_path / "r", IDENTITY) as run:
        run.write_metrics({"step": 2})
        run.write_rollouts(2, table(2))
        run.finish()
    assert spurious.load(tmp_path).rollouts.height == 9
    table(7).write_parquet(tmp_path / "r" / "rollouts" / "000002.parquet")
    with pytest.raises(StoreError, match="damaged"):
        _ = spurious.load(tmp_path).rollouts


def test_a_torn_line_of_the_digests_is_cut_off(tmp_path):
    digests = Digests(tmp_path)
    digests.write("a.txt", "one")
    with (tmp_path / "digests.txt").open("a") as file:
        file.write("0123")
    digests.write("b.txt", "two")
    assert (digests.text("a.txt"), digests.text("b.txt")) == ("one", "two")


@pytest.mark.parametrize("name", ["study.yaml", "cells.json", "declared.jsonl", "digests.txt"])
def test_no_flipped_bit_changes_what_a_study_declared(tmp_path, name):
    where = tmp_path / "whole" / "studies" / "small"
    write_study(tmp_path / "whole", resolve(STUDY), [], 0)
    copy = tmp_path / "copy" / "studies" / "small"
    shutil.copytree(where, copy)
    expected, data = (read_study(where), declarations(where)), (where / name).read_bytes()

    @settings(max_examples=40)
    @given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    def flip(place, bit):
        broken = bytearray(data)
        broken[int(place * len(data))] ^= 1 << bit
        (copy / name).write_bytes(broken)
        try:
            found = read_study(copy), declarations(copy)
        except StoreError as error:
            found = str(error)
        assert found == expected or str(copy) in found

    flip()


def test_a_table_that_is_read_alone_is_checked_by_its_folder_or_its_run(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "r")
    with noted(tmp_path / "chain.parquet") as temporary:
        table(1).write_parquet(temporary)
    for path in (tmp_path / "chain.parquet", tmp_path / "r" / "evals" / "000003-chain.parquet"):
        check_noted(path)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
        with pytest.raises(StoreError, match=f"{path.name}: damaged"):
            check_noted(path)
