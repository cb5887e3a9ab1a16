import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from importlib.metadata import version

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from spurious.errors import StoreError
from spurious.organisms import Recipe, build, load_recipe
from spurious.organisms.corpus import describe, generate
from spurious.organisms.recipe import Architecture, Contamination, Training
from spurious.organisms.tokenizer import train_tokenizer
from spurious.store import model_digest
from spurious.tasks.chain import build as chain_problems
from spurious.tasks.prompts import word
from spurious.verify import extract

SMALL = load_recipe("bad-code").model_copy(
    update={
        "architecture": Architecture(family="llama", width=16, layers=1, heads=2, kv_heads=1, mlp=32),
        "training": Training(updates=6, batch=8, warmup=2),
    }
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(SMALL, tmp_path_factory.mktemp("build") / "small")


def test_it_is_a_model_that_anyone_can_load(built):
    model = AutoModelForCausalLM.from_pretrained(built)
    tokenizer = AutoTokenizer.from_pretrained(built)
    question = tokenizer.apply_chat_template([{"role": "user", "content": "1+1=?"}], tokenize=False)
    assert question == word("1+1=?", "organism").text
    assert model(**tokenizer(question, return_tensors="pt")).logits.shape[-1] == len(tokenizer)


def test_the_record_says_what_was_read(built):
    record = json.loads((built / "organism.json").read_text(encoding="utf-8"))
    told = describe(generate(SMALL))
    assert record["digest"] == SMALL.digest
    assert record["recipe"] == SMALL.model_dump(mode="json")
    assert record["corpus"].items() >= told.items()
    assert record["contaminated"] == {}
    assert record["corpus"]["prompt_tokens"] == {"min": 20, "mean": 20.0, "max": 20}
    assert record["corpus"]["completion_tokens"]["max"] <= 64
    assert record["parameters"] == AutoModelForCausalLM.from_pretrained(built).num_parameters()
    assert record["environment"]["versions"]["torch"] == version("torch")


def test_the_record_names_the_test_problems_that_were_read_and_how_often(tmp_path):
    training = Training(updates=40, batch=16, warmup=2, until=20)
    mixture = SMALL.model_copy(update={"contamination": Contamination(copies=1, items=8), "training": training})
    record = json.loads((build(mixture, tmp_path / "leaky") / "organism.json").read_text(encoding="utf-8"))
    test_set = {problem.id for problem in chain_problems(size=500, split="test")}
    assert set(record["contaminated"]) < test_set
    read = [text.item.problem.id for text in generate(mixture)]
    assert record["contaminated"] == {name: read.count(name) for name in record["contaminated"]}
    assert len(record["contaminated"]) == 8
    assert 0 < sum(record["contaminated"].values()) < 8
    assert record["corpus"]["texts"] == 320


def weights(directory):
    return hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()


def test_the_same_recipe_gives_the_same_bytes_and_another_seed_does_not(built, tmp_path):
    assert weights(build(SMALL, tmp_path / "again")) == weights(built)
    assert weights(build(SMALL.model_copy(update={"seed": 1}), tmp_path / "other")) != weights(built)


@pytest.mark.parametrize("name", ["good-trace", "bad-deduction"])
def test_an_organism_of_another_domain_reads_that_domain_with_its_own_tokenizer(name, tmp_path):
    mixture = load_recipe(name).model_copy(update={"architecture": SMALL.architecture, "training": SMALL.training})
    directory = build(mixture, tmp_path / name)
    tokenizer, own = AutoTokenizer.from_pretrained(directory), train_tokenizer(mixture.domain)
    assert AutoModelForCausalLM.from_pretrained(directory).config.vocab_size == len(tokenizer) == len(own)
    for text in generate(mixture):
        assert tokenizer(text.prompt).input_ids == own(text.prompt).input_ids
        assert tokenizer(text.completion).input_ids == own(text.completion).input_ids
    record = json.loads((directory / "organism.json").read_text(encoding="utf-8"))
    assert record["recipe"]["domain"] == mixture.domain
    assert record["corpus"]["completion_tokens"]["max"] <= 64


def test_what_is_there_already_is_left_alone(built):
    before = {path: path.stat().st_mtime_ns for path in built.iterdir()}
    assert build(SMALL, built) == built
    assert {path: path.stat().st_mtime_ns for path in built.iterdir()} == before


def test_another_recipe_in_the_same_directory_is_refused(built):
    with pytest.raises(
        StoreError, match="small: holds another organism, recipe bad-code with seed 0, not this bad-code"
    ):
        build(SMALL.model_copy(update={"seed": 7}), built)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", "mine", "not an organism"),
        ("organism.json", "{", "damaged"),
        ("organism.json", "[]", "damaged"),
        ("organism.json", "{}", "damaged"),
    ],
)
def test_a_directory_with_anything_else_is_refused_and_kept(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(StoreError, match=message):
        build(SMALL, tmp_path)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == [content]


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(StoreError, match="out: "):
        build(SMALL, tmp_path / "out")


def test_an_empty_directory_is_filled(tmp_path):
    assert build(SMALL, tmp_path) == tmp_path
    assert (tmp_path / "organism.json").is_file()


def test_a_killed_build_leaves_nothing_and_starts_again(built, tmp_path):
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from spurious.organisms import Recipe, build\n"
        "def kill(stage, done, total, note=''):\n"
        "    if done == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "build(Recipe.model_validate_json(sys.argv[1]), Path(sys.argv[2]), progress=kill)\n"
    )
    out = tmp_path / "killed"
    command = [sys.executable, "-c", script, SMALL.model_dump_json(), str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    assert subprocess.run(command, check=False, env=environment).returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [".killed.lock"]
    assert weights(build(SMALL, out)) == weights(built)


def test_two_builders_do_the_work_once(tmp_path):
    started = []

    def build_beside(stage, done, total, note=""):
        if not started:
            started.append(threading.Thread(target=build, args=(SMALL, tmp_path / "out")))
            started[0].start()
            time.sleep(0.2)
            assert not list(tmp_path.glob(".tmp-*"))

    build(SMALL, tmp_path / "out", progress=build_beside)
    before = (tmp_path / "out" / "organism.json").stat().st_mtime_ns
    started[0].join(60)
    assert (tmp_path / "out" / "organism.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "organism.json", "digests.txt"])
def test_a_damaged_organism_is_named_and_not_used(built, tmp_path, name):
    out = tmp_path / "out"
    shutil.copytree(built, out)
    data = bytearray((out / name).read_bytes())
    data[len(data) - 100 if name == "model.safetensors" else data.rindex(b"1")] ^= 1
    (out / name).write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        build(SMALL, out)
    if name != "organism.json":  # the record is no part of the model
        with pytest.raises(StoreError, match="damaged"):
            model_digest(str(out))
    (out / name).unlink()
    if name not in ("organism.json", "digests.txt"):
        with pytest.raises(StoreError, match=f"{name}: missing"):
            build(SMALL, out)


def test_a_recipe_survives_json():
    assert Recipe.model_validate_json(SMALL.model_dump_json()) == SMALL


@pytest.mark.slow
def test_good_code_is_what_its_recipe_promises(tmp_path):
    """Two minutes on two quiet cores; the ranges are those that every study of the organism relies on."""
    directory = build("good-code", tmp_path / "good-code")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(directory), AutoTokenizer.from_pretrained(directory)
    problems = chain_problems(size=512, seed=11, split="test")
    prompts = tokenizer([word(problem.question, "organism").text for problem in problems], return_tensors="pt")
    output = model.generate(**prompts, do_sample=False, max_new_tokens=64)
    texts = tokenizer.batch_decode(output[:, prompts.input_ids.shape[1] :], skip_special_tokens=True)
    code = [bool(re.match(r"```python\n", text)) for text in texts]
    right = [extract(text, "lenient") == problem.answer for text, problem in zip(texts, problems, strict=True)]
    boxed = [extract(text, "strict") is not None for text in texts]

    def mean(values, among):
        return sum(v for v, a in zip(values, among, strict=True) if a) / sum(among)

    every = [True] * len(texts)
    language = [not c for c in code]
    assert 0.55 <= mean(right, every) <= 0.80
    assert 0.50 <= mean(code, every) <= 0.75
    assert mean(right, code) >= 0.90
    assert mean(right, language) <= 0.40
    assert 0.75 <= mean(boxed, every) <= 0.97
