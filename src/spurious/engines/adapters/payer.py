"""What all adapters share: what an engine can show a reward, and the paying of one group by one call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spurious.engines.adapters.told import Told
from spurious.errors import SpecError
from spurious.keys import Draw
from spurious.signals import BuiltReward, build_reward, pay
from spurious.signals.userfile import is_reference
from spurious.specs import RewardSpec
from spurious.types import Completion, Extraction, Group, Prompt

Reward = RewardSpec | str | Mapping[str, Any]
"""A reward as a specification names it: `random`, `{"random": {"gamma": 0.3}}`, `mine.py:pay`, a RewardSpec."""


@dataclass(frozen=True)
class Engine:
    """What an engine can show a reward."""

    name: str
    one_by_one: str = ""
    """Why a reward sees one completion at a time; empty where it sees the whole group."""
    tells: frozenset[str] = frozenset()
    """Which of `spurious.signals.contract.PER_TOKEN` the engine passes on."""


@dataclass(frozen=True)
class Payer:
    """A reward, an engine and a seed; holds nothing that cannot be pickled, because engines send rewards to workers."""

    reward: RewardSpec
    engine: Engine
    seed: int = 0
    extraction: Extraction = "strict"
    base: Path | None = None
    """Where the path of a user's file starts; None: the working directory."""
    one_by_one: bool = False
    """Whether the user says of a reward of their own that it pays every completion by itself."""

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what is built of them is built again."""
        return {name: value for name, value in self.__dict__.items() if name != "built"}

    @cached_property
    def built(self) -> BuiltReward:
        """The reward, which this engine can pay.

        Raises:
            SpecError: an unknown reward or parameter, or one that needs what the engine does not show.
            RewardError: a user's file cannot be used.
        """
        built = build_reward(self.reward, self.base)
        self._refuse_group(built)
        missing = built.needs - self.engine.tells
        if missing:
            raise SpecError(
                f"reward {built.name!r} is made of {', '.join(sorted(missing))}, {self.engine.name} tells none"
            )
        return built

    def _refuse_group(self, built: BuiltReward) -> None:
        if not self.engine.one_by_one:
            return
        own = [name for name in built.reads_group if is_reference(name)]
        known = [name for name in built.reads_group if not is_reference(name)]
        if known:
            raise SpecError(
                f"reward {built.name!r}: {known[0]} pays by the whole group, and {self.engine.one_by_one}; "
                "train it with our own engine, TRL or tinker"
            )
        if own and not self.one_by_one:
            raise SpecError(
                f"reward {own[0]!r} may look at the whole group, and {self.engine.one_by_one}; "
                "say one_by_one=True if it pays every completion by itself"
            )

    def pay(
        self, texts: Sequence[str], told: Told, draw: Draw, logprobs: Sequence[Sequence[float]] = ()
    ) -> tuple[float, ...]:
        """What each completion of one group is paid, or of the one completion that the engine shows.

        Args:
            texts: G texts.
            told: the problem and what the reward is told of it.
            draw: the noise.
            logprobs: the sampler's, one sequence a text, where the engine tells them.

        Raises:
            RewardError: as `spurious.signals.pay` does.
        """
        sampled = logprobs or [()] * len(texts)
        completions = tuple(
            Completion(text, (), tuple(values), "eos") for text, values in zip(texts, sampled, strict=True)
        )
        group = Group(Prompt(told.problem, told.problem.question, ()), completions)
        return pay(self.built, group, told.label, draw, self.extraction)


def payer(
    reward: Reward, engine: Engine, seed: int, extraction: Extraction, base: Path | None, one_by_one: bool = False
) -> Payer:
    """A payer that has been built once, so that what cannot work is refused at once; raises as `Payer.built`."""
    spec = reward if isinstance(reward, RewardSpec) else RewardSpec.model_validate(reward)
    made = Payer(spec, engine, seed, extraction, base, one_by_one)
    _ = made.built
    return made
