"""What a study would take on a device, model by model, before anything is loaded: `--dry-run`.

Importing this module imports torch; planning does not need it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from spurious.grpo.memory import DEVICE_GB, GB, Memory, memory, prompt_tokens
from spurious.grpo.room import cut, remedies
from spurious.organisms.model import configuration as organism_configuration
from spurious.organisms.recipe import Recipe
from spurious.organisms.tokenizer import train_tokenizer
from spurious.policy.body import Body, body, configuration
from spurious.specs import LoraSpec, RunSpec
from spurious.study.cells import starts
from spurious.study.made import Organism
from spurious.study.spec import StudySpec

DEVICE = DEVICE_GB * GB


@dataclass(frozen=True)
class Scale:
    """One model and the run on it that needs most."""

    model: str
    arm: str
    """Of several that need the same, the one that samples most."""
    spec: RunSpec
    body: Body
    memory: Memory

    @property
    def advice(self) -> str:
        """How it can fit, or that it cannot."""
        if self.fits:
            return f"fits into {DEVICE_GB} GB"
        found = cut(self.spec, self.body, DEVICE)
        if found is None:
            would = remedies(self.spec, self.body, DEVICE)
            return f"does not fit into {DEVICE_GB} GB at any token_budget or sampling_rows; {would}"
        asked = self.spec.token_budget, self.spec.sampling_rows
        words = [f"{name} {n}" for (name, n), most in zip(found._asdict().items(), asked, strict=True) if n < most]
        return f"fits into {DEVICE_GB} GB with {' and '.join(words)} at most, which a GPU cuts it to"

    @property
    def fits(self) -> bool:
        """Whether it fits as it is."""
        return self.memory.fits(DEVICE)

    def document(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        phase, peak = self.memory.peak
        return {
            "model": self.model,
            "source": self.spec.model,
            "revision": self.spec.revision,
            "template": self.spec.task.template,
            "stop": list(self.spec.sampling.stop),
            "parameters": self.body.parameters,
            "positions": self.body.positions,
            "arm": self.arm,
            "prompts_per_rollout": self.spec.grpo.prompts_per_rollout,
            "group_size": self.spec.grpo.group_size,
            "prompt_tokens": prompt_tokens(self.spec, self.body),
            "max_tokens": self.spec.sampling.max_tokens,
            "token_budget": self.spec.token_budget,
            "sampling_rows": self.spec.sampling_rows,
            "dtype": self.spec.dtype,
            "memory": [
                {"phase": item.phase, "what": item.what, "dtype": item.dtype, "bytes": item.bytes}
                for item in self.memory.items
            ],
            "peak": {"phase": phase, "bytes": peak},
            "device_gb": DEVICE_GB,
            "fits": self.fits,
            "advice": self.advice,
        }


def scale_study(study: StudySpec, store: Path) -> list[Scale]:
    """Each model of a study with its most demanding arm; neither weights nor problems are loaded.

    Raises:
        InputError: a model has no configuration at hand, or an arm and the base do not make a run.
    """
    found = []
    for name, origin in starts(study, store).items():
        recipe = next((made.recipe for made in origin.first if isinstance(made, Organism)), None)
        runs = {arm: study.run_spec(arm, name, study.seeds[0], origin.source) for arm in study.arms}
        bodies = {
            arm: _there(origin.source, run.policy.lora) if recipe is None else _unbuilt(recipe, run.policy.lora)
            for arm, run in runs.items()
        }
        accounts = {arm: memory(run, bodies[arm]) for arm, run in runs.items()}
        arm = max(runs, key=partial(_demand, runs, accounts))
        found.append(Scale(name, arm, runs[arm], bodies[arm], accounts[arm]))
    return found


def scale_run(spec: RunSpec) -> Scale:
    """One run.

    Raises:
        InputError: the model has no configuration at hand.
    """
    measured = _there(spec.model, spec.policy.lora)
    return Scale(Path(spec.model).name, spec.reward.name, spec, measured, memory(spec, measured))


def _demand(runs: Mapping[str, RunSpec], accounts: Mapping[str, Memory], arm: str) -> tuple[int, int]:
    grpo = runs[arm].grpo
    return accounts[arm].peak[1], grpo.prompts_per_rollout * grpo.group_size


@cache
def _there(source: str, lora: LoraSpec | None) -> Body:
    return body(configuration(source), lora)


def _unbuilt(recipe: Recipe, lora: LoraSpec | None) -> Body:
    return body(organism_configuration(recipe.architecture, train_tokenizer()), lora)
