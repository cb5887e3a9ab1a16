"""The phases of `spurious.grpo.trainer`'s loop, one callable each, so that they can be timed and profiled apart."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spurious.grpo.arm import Arm
from spurious.grpo.learner import Learner
from spurious.grpo.rollouts import rollout_frame
from spurious.grpo.trainer import assign_credit, score
from spurious.policy import TorchSampler
from spurious.policy.ask import asker
from spurious.policy.model import Policy
from spurious.types import Scored


class Loop:
    """A run's loop without its directory: sample, verify, learn, store."""

    def __init__(self, arm: Arm, policy: Policy, folder: Path) -> None:
        self.arm, self.spec, self.policy = arm, arm.spec, policy
        self.ask = asker(self.spec.task, arm.task, policy)
        self.sampler, self.learner = TorchSampler(policy), Learner(self.spec, policy, None)
        self.table = folder / "rollouts.parquet"
        self.read = self.sampled = self.trained = 0
        """Tokens of the latest batch: of prompts; of completions, what several of a group begin with counted once; and
        of rows with signal, their prompts too."""

    def phases(self, step: int) -> dict[str, Callable[[], Any]]:
        """Of one batch, to be called in this order."""
        made: dict[str, Any] = {}

        def sample() -> None:
            prompts = self.ask.prompts(self.arm.problems(step))
            sampling = self.ask.sampling(self.spec.sampling)
            scope = (self.spec.seed, "sample", step)
            made["groups"] = self.sampler.sample(prompts, self.spec.grpo.group_size, sampling, scope)

        def verify() -> None:
            made["scored"] = score(self.arm, step, made["groups"])
            self._count(made["scored"])

        def learn() -> None:
            made["advantages"] = assign_credit(self.spec, made["scored"])
            self.learner.learn(step, made["scored"], made["advantages"])

        def store() -> None:
            rollout_frame(step, made["scored"], made["advantages"]).write_parquet(self.table)

        return {"sample": sample, "verify": verify, "learn": learn, "store": store}

    def _count(self, scored: Sequence[Scored]) -> None:
        groups = [one.group for one in scored]
        self.read = sum(len(group.prompt.token_ids) for group in groups)
        self.sampled = sum(
            len({c.token_ids[:end] for c in group.completions for end in range(1, len(c.token_ids) + 1)})
            for group in groups
        )
        self.trained = sum(
            len(one.group.prompt.token_ids) + len(c.token_ids)
            for one in scored
            if len(set(one.rewards)) > 1
            for c in one.group.completions
        )
