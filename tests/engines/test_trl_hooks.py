"""What the TRL engine expects of TRL's private parts: a TRL that changed them fails here, with a name."""

import dataclasses
import inspect
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("trl", reason="needs the extra trl")

from trl import GRPOConfig, GRPOTrainer

from spurious.engines.trl.plan import Passes, arguments
from spurious.engines.trl.vllm import VllmSampler
from spurious.errors import SpecError
from spurious.policy.model import load
from spurious.specs import RunSpec, SamplingSpec
from spurious.types import Problem, Prompt

SPEC = RunSpec.model_validate({"model": "m", "task": "chain", "reward": "random", "steps": 1})


def parameters(method):
    return list(inspect.signature(method).parameters)


def test_the_methods_that_are_replaced_take_what_they_took():
    assert parameters(GRPOTrainer._prepare_inputs) == ["self", "generation_batch"]
    assert parameters(GRPOTrainer._compute_loss) == ["self", "model", "inputs"]
    assert parameters(GRPOTrainer._get_per_token_logps_and_entropies)[:5] == [
        "self",
        "model",
        "input_ids",
        "attention_mask",
        "logits_to_keep",
    ]
    assert parameters(GRPOTrainer._send_telemetry) == ["self"]
    assert parameters(GRPOTrainer.log) == ["self", "logs", "start_time"]
    assert parameters(GRPOTrainer.create_optimizer) == ["self", "model"]
    assert parameters(GRPOTrainer.create_scheduler) == ["self", "num_training_steps", "optimizer"]
    assert parameters(GRPOTrainer._generate_single_turn)[:5] == [
        "self",
        "prompt_ids",
        "images",
        "multimodal_fields",
        "num_generations",
    ]


def test_the_scheduler_is_made_when_the_weights_lie_where_they_stay():
    prepared = inspect.getsource(GRPOTrainer._prepare_for_training)
    assert prepared.index("self.create_optimizer()") < prepared.rindex("self.accelerator.prepare(")
    assert prepared.rindex("self.accelerator.prepare(") < prepared.index("self.create_scheduler(")


def test_the_training_step_asks_for_inputs_once_a_pass_and_the_loss_reads_nothing_else():
    step = inspect.getsource(GRPOTrainer.training_step)
    assert "self._step += 1" in step
    loss = inspect.getsource(GRPOTrainer._compute_loss)
    for name in ("old_per_token_logps", "ref_per_token_logps", "num_items_in_batch", "advantages", "completion_mask"):
        assert f'"{name}"' in loss
    assert "self.reward" not in loss


def test_every_argument_exists_and_every_operator_of_the_loss_is_set():
    known = {field.name for field in dataclasses.fields(GRPOConfig)}
    told = arguments(SPEC, Passes(4, 2), 8, cuda=False)
    assert told.keys() <= known
    # Fields of GRPOConfig that its loss reads and that are left at a default of which this test knows that it is none.
    silent = {"sapo_temperature_pos", "sapo_temperature_neg", "steps_per_generation"}  # another loss; told
    silent |= {name for name in known if name.startswith(("vespo_", "entropy_"))}
    source = inspect.getsource(GRPOTrainer._compute_loss)
    read = {name for name in known if f"self.args.{name}" in source or f"self.{name}" in source}
    assert read <= told.keys() | silent


def test_no_clip_is_no_clip():
    absent = SPEC.model_copy(update={"grpo": SPEC.grpo.model_copy(update={"clip_low": None, "clip_high": None})})
    told = arguments(absent, Passes(4, 2), 8, cuda=False)
    assert told["epsilon"] == told["epsilon_high"] == float("inf")
    assert told["delta"] is None
    assert told["vllm_importance_sampling_correction"] is False
    assert told["off_policy_mask_threshold"] is None


def test_vllm_s_completions_become_groups(organism_dir):
    """vLLM itself cannot run here: its answer is made up, in the form in which TRL hands it on."""
    policy = load(str(organism_dir))
    (end,) = policy.eos_ids
    asked = []

    def generate(prompt_ids, images, multimodal_fields, num_generations):
        asked.append((prompt_ids, images, multimodal_fields, num_generations))
        return [[5, end], [6, 7], [8, end], [9, 10]], [[-0.1, -0.2]] * 4

    sampler = VllmSampler(SimpleNamespace(_generate_single_turn=generate), policy)
    prompts = [Prompt(Problem(str(i), "q", "1", "s"), "q", (i, 3)) for i in (1, 2)]
    groups = sampler.sample(prompts, 2, SamplingSpec(max_tokens=2), ("scope",))
    assert asked == [([[1, 3], [1, 3], [2, 3], [2, 3]], None, {}, 2)]
    assert [[c.token_ids for c in group.completions] for group in groups] == [[(5, end), (6, 7)], [(8, end), (9, 10)]]
    assert [[c.stop for c in group.completions] for group in groups] == [["eos", "length"]] * 2
    assert groups[0].completions[0].sampler_logprobs == (-0.1, -0.2)
    for changes, message in (({"stop": ("x",)}, "does not stop"), ({}, "entropies")):
        with pytest.raises(SpecError, match=message):
            sampler.sample(prompts, 2, SamplingSpec(**changes), ("scope",), confidence=True)


def test_infinite_bounds_clip_nothing():
    ratio = torch.tensor([1e-30, 1.0, 1e30])
    assert torch.equal(ratio.clamp(1 - float("inf"), 1 + float("inf")), ratio)
