"""What the tests of all adapters pay: two problems, four completions each, and every reward there is."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from spurious.signals import REWARDS
from spurious.specs import RewardSpec
from spurious.tasks.base import make_problem
from spurious.types import Completion, Group, Problem, Prompt

PROBLEMS = (
    make_problem("What is 2 + 2?", "4", "test", "sum", difficulty=1),
    make_problem("What is 3 * 3?", "9", "test", "product"),
)
TEXTS = (
    (r"python says \boxed{4}.", r"\boxed{5}", r"so \boxed{4}", "nothing"),
    (r"\boxed{9}", r"\boxed{8}", r"\boxed{8}", r"python \boxed{7}"),
)
LABELS = {PROBLEMS[0].id: "4", PROBLEMS[1].id: "8"}
"""The second problem's is wrong."""

ONE_BY_ONE = [
    "ground_truth",
    "format",
    "random",
    "python_mention",
    "no_python",
    {"behavior": {"name": "trace"}},
    "no_repetition",
    {"constant": {"value": 0.5}},
    {"all_of": ["format", "no_python"]},
    {"not_": "random"},
    {"weighted": {"of": ["format", "random"], "weights": [0.25, 1.0]}},
]
WHOLE_GROUP = ["majority_vote", {"shuffled": "ground_truth"}, {"resampled": "format"}, {"not_": "majority_vote"}]
PER_TOKEN = ["negative_entropy", "self_certainty"]
REWARD_SPECS = [RewardSpec.model_validate(one) for one in ONE_BY_ONE + WHOLE_GROUP]

assert {spec.name for spec in REWARD_SPECS} | set(PER_TOKEN) == set(REWARDS)

USER_FILE = """
def pay(completions, *, label, problem, draw, bonus=0.0, **kwargs):
    coins = draw.uniforms(len(completions))
    return [float(label in text) + bonus + coin for text, coin in zip(completions, coins)]

def longest(completions):
    return [float(len(text) == max(map(len, completions))) for text in completions]

def confident(completions, sampler_logprobs):
    return [sum(row) / len(row) for row in sampler_logprobs]
"""


def group(problem: Problem, texts: tuple[str, ...]) -> Group:
    return Group(Prompt(problem, problem.question, ()), tuple(Completion(text, (), (), "eos") for text in texts))


def awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns, from a thread of its own: a browser that other tests drive has a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
