"""What a call of `run_study` came to."""

from dataclasses import dataclass, field
from pathlib import Path

from spurious.errors import SpuriousError
from spurious.study.record import Failure


@dataclass
class Outcome:
    """What a call of `run_study` came to; runs that are several cells count once."""

    done: int = 0
    """Runs that are complete now."""
    failures: list[tuple[str, Failure]] = field(default_factory=list)
    """Jobs by title, and how they ended."""
    not_started: int = 0
    """Runs that are owed still and were not tried: what they need could not be made, or the disk was full."""
    full: bool = False
    """Whether there was no space left: nothing more was started then."""

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for is there."""
        return not self.failures and not self.not_started

    def check(self, store: Path) -> None:
        """Do nothing if everything that was asked for is there.

        Raises:
            SpuriousError: it is not; says what is missing, why, and where its log is.
        """
        if self.complete:
            return
        head = f"{len(self.failures)} failed"
        if self.not_started:
            head += f", {self.not_started} runs were not started"
        lines = [
            f"{title}: {failure.error}" + (f"\n  log: {failure.log}" if failure.log else "")
            for title, failure in self.failures
        ]
        if self.full:
            lines.append(full_message(store))
        raise SpuriousError("\n".join([f"{head}, {self.done} are done", *lines]))


def full_message(store: Path) -> str:
    """What to say when there is no space left."""
    return f"{store.resolve()}: no space left (disk or quota); nothing is lost: make room and run the study again"
