import json

import pytest
import torch

from spurious.errors import CheckpointError, SpecError
from spurious.policy.body import body, configuration, saved_bytes, weightless
from spurious.policy.known import known_models
from spurious.policy.model import load

PUBLISHED = {
    "Qwen2.5-Math-7B": 7_615_616_512,
    "Qwen2.5-Math-1.5B": 1_543_714_304,
    "Qwen2.5-7B": 7_615_616_512,
    "Qwen2.5-1.5B": 1_543_714_304,
    "OLMo-2-1124-7B": 7_298_617_344,
    "Llama-3.2-3B": 3_212_749_824,
    "Llama-3.2-3B-Instruct": 3_212_749_824,
    "Llama-3.1-8B": 8_030_261_248,
    "Llama-3.1-8B-Instruct": 8_030_261_248,
    "Qwen2.5-7B-Instruct": 7_615_616_512,
    "Llama-3.1-Tulu-3-8B": 8_030_261_248 + 2 * 8 * 4096,  # eight words more in both embeddings
}
"""Parameters as the model hub counts them in the weights' files, read in public texts."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_without_weights_has_the_published_number_of_parameters(name):
    model = weightless(configuration(known_models()[name].source))
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[name]
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["qwen2", "llama", "olmo2"])
def test_saved_bytes_are_those_of_real_passes(organism_dirs, family, dtype):
    sizes = body(configuration(str(organism_dirs[family])))
    model = load(str(organism_dirs[family])).model

    def real(rows, *, masked):
        ids = torch.arange(rows * 8).reshape(rows, 8)
        mask = torch.ones_like(ids)
        mask[:, 0] = 0
        more = {"attention_mask": mask} if masked else {}
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            return saved_bytes(lambda: model.get_decoder()(input_ids=ids, use_cache=False, **more), model)

    masked, plain = (real(8, masked=masked) - real(4, masked=masked) for masked in (True, False))
    assert masked == pytest.approx(4 * 8 * sizes.saved[dtype], rel=0.003)
    assert 0.94 * masked < plain <= masked


def test_sizes_are_those_of_the_real_model(organism_dir):
    sizes, model = body(configuration(str(organism_dir))), load(str(organism_dir)).model
    assert sizes.parameters == model.num_parameters()
    assert sizes.trained == tuple(weights.numel() for weights in model.parameters())
    assert (sizes.vocabulary, sizes.width) == tuple(model.get_output_embeddings().weight.shape)
    assert (sizes.layers, sizes.positions) == (3, 512)


def test_a_model_nobody_knows_is_refused(tmp_path):
    with pytest.raises(SpecError, match=r"somebody/else.*config\.json"):
        configuration("somebody/else")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        configuration(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no such"}))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        configuration(str(tmp_path))
