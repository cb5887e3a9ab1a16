"""Small studies on an untrained organism."""

from copy import deepcopy

import pytest

SMALL = {
    "task": {"chain": {"steps": 1, "size": 16}},
    "steps": 2,
    "grpo": {"prompts_per_rollout": 4, "group_size": 4, "updates_per_rollout": 2},
    "sampling": {"max_tokens": 8},
}


def fields(model, **changes):
    """A study as YAML would have it."""
    return {
        "name": "small",
        "question": "Does a coin help?",
        "expectation": "It does not.",
        "base": deepcopy(SMALL),
        "benches": [{"task": {"chain": {"steps": 1, "size": 4}}, "max_tokens": 8}],
        "arms": {
            "truth": {"role": "treatment", "reward": "ground_truth"},
            "coin": {"role": "placebo", "reward": "random"},
        },
        "models": {"organism": str(model)},
        "seeds": 2,
        "primary": "accuracy@final on chain",
        **changes,
    }


@pytest.fixture(scope="session")
def small():
    """Makes the fields of a small study: `small(model, **changes)`."""
    return fields
