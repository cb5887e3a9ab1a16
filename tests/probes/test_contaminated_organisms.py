"""The probe finds, end to end, the order of organisms that are known to have read test problems."""

import pytest

from spurious.organisms import Recipe, build
from spurious.policy import load, prepare_process
from spurious.probes.contamination import Settings, Subset, contamination
from spurious.specs import BenchSpec
from spurious.tasks import load_bench
from spurious.tasks.chain import THEMES

SEED = 7
ITEMS = {0: 160, 10: 160, 100: 16}
"""Problems that leaked, by copies; the 16 are among the 160. Ten copies are a small effect, which takes many items."""
SETTINGS = Settings(fractions=(0.8,), twins=4, max_tokens=16)


def recipe(copies):
    """A very small organism of short texts; a hundred copies of a problem are one text in a hundred."""
    direct = {"form": "words", "steps": False, "share": dict.fromkeys(THEMES, 1.0), "boxed": [1.0] * 10}
    return Recipe.model_validate(
        {
            "name": f"contaminated-{copies}",
            "architecture": {"width": 64, "layers": 2, "mlp": 128},
            "strategies": {"direct": direct},
            "training": {"updates": 320, "batch": 32, "lr": 8e-3, "warmup": 20, "prompts": True},
            "contamination": {"copies": copies, "items": ITEMS[copies], "seed": SEED},
        }
    )


def subset(part, items):
    args = {"leaked": {"part": part, "items": items, "seed": SEED}}
    bench, task = load_bench(BenchSpec.model_validate({"task": {"chain": args}}))
    return Subset(bench.task, task)


@pytest.mark.slow
def test_none_ten_and_a_hundred_copies_are_told_apart_in_their_order(tmp_path):
    prepare_process()
    models = {copies: load(str(build(recipe(copies), tmp_path / str(copies)))) for copies in ITEMS}
    clean = subset("clean", max(ITEMS.values()))
    found = {}
    for copies, model in models.items():
        leaked = subset("leaked", ITEMS[copies])
        result = contamination(model, leaked, clean, 0, SETTINGS, reference=models[0])
        found[copies] = {one.name: one.difference for one in result.measures}
    assert found[0]["reference"].mean == 0
    assert found[0]["twins"].interval[0] < 0 < found[0]["twins"].interval[1]
    # Where this was written: 0.04, 95 % interval 0.01 to 0.07; another machine's rounding leads to other weights.
    assert found[10]["reference"].mean > 0
    assert found[100]["reference"].interval[0] > found[10]["reference"].interval[1]
    for measure in ("twins", "logprob@80"):
        assert found[100][measure].interval[0] > 0, measure
        assert found[100][measure].mean > max(found[10][measure].mean, found[0][measure].mean)
