import hashlib

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from spurious.organisms import untrained
from spurious.organisms.texts import write
from spurious.tasks.chain import chains

FAMILIES = ("qwen2", "llama", "olmo2")


@pytest.mark.parametrize("family", FAMILIES)
def test_is_a_small_hugging_face_model_of_its_family(organism_dirs, family):
    model = AutoModelForCausalLM.from_pretrained(organism_dirs[family])
    assert model.config.model_type == family
    assert sum(parameter.numel() for parameter in model.parameters()) < 1_000_000
    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(organism_dirs[family]))
    assert model.generation_config.do_sample


def test_weights_depend_on_the_seed_alone(tmp_path):
    def digest(name, seed):
        return hashlib.sha256((untrained(tmp_path / name, seed=seed) / "model.safetensors").read_bytes()).hexdigest()

    assert digest("a", 1) == digest("b", 1) != digest("c", 2)


def test_every_family_reads_text_alike(organism_dirs):
    texts = ["Count pages left to right, mod ten: 1*6=?", "x+=12 #3\n```\n", " e\u0301 \tend", "don't"]
    ids = [AutoTokenizer.from_pretrained(organism_dirs[family])(texts).input_ids for family in FAMILIES]
    assert ids[0] == ids[1] == ids[2]


@pytest.mark.parametrize("form", ["code", "words"])
@pytest.mark.parametrize("steps", [True, False])
def test_tokenizer_reads_every_strategy_back(organism_dir, form, steps):
    tokenizer = AutoTokenizer.from_pretrained(organism_dir)
    for chain in chains(steps=4, size=20, seed=3, split="test"):
        for text in (chain.question, write(chain, form, steps=steps, slip=0, boxed=True)):
            assert tokenizer.decode(tokenizer(text).input_ids) == text
            assert len(tokenizer(text).input_ids) <= 60
