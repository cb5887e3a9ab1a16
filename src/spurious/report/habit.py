"""The habit whose rise and fall a report follows: a behavior that is there or not, and the words for either."""

from dataclasses import dataclass

from spurious.store.tables import BEHAVIOR

_WORDS = {"code_reasoning": ("code", "language")}
"""What the paper calls an answer with and without the behavior; others are called by their names."""


@dataclass(frozen=True, slots=True)
class Habit:
    """One of the behaviors of `spurious.behaviors`."""

    behavior: str

    @property
    def column(self) -> str:
        """Where the tables have it."""
        return BEHAVIOR + self.behavior

    @property
    def shown(self) -> str:
        """The word for an answer that shows it."""
        return _WORDS.get(self.behavior, (self._name,))[0]

    @property
    def absent(self) -> str:
        """The word for an answer that does not."""
        return _WORDS.get(self.behavior, ("", f"no {self._name}"))[1]

    @property
    def _name(self) -> str:
        return self.behavior.replace("_", " ")


CODE = Habit("code_reasoning")
"""The paper's."""
