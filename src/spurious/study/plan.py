"""What a study needs, before anything is run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spurious.grpo.arm import Inputs
from spurious.study.cells import Cell, distinct, expand
from spurious.study.costs import Costs
from spurious.study.spec import StudySpec
from spurious.study.study import inspect


@dataclass(frozen=True)
class Plan:
    """A study's runs, what is there already, and what the rest will cost."""

    study: StudySpec
    cells: tuple[Cell, ...]
    needs: frozenset[str]
    """The runs by identity, provisional where something they need is not made."""
    done: int
    first: dict[str, float | None]
    """What has to be made before runs, in words and in order -> the seconds that such things have taken."""
    seconds: float | None
    """Of one core for what is owed, all of it; None where nothing finished is like one of these."""

    @property
    def runs(self) -> int:
        """Different runs; cells that are the same run count once."""
        return len(self.needs)

    @property
    def owed(self) -> int:
        """Runs that are not complete."""
        return self.runs - self.done


def plan_studies(studies: Sequence[StudySpec], store: Path, data_dir: Path | None = None) -> list[Plan]:
    """Plan several studies over one store.

    Raises:
        InputError: an arm cannot be run; the message names study, arm and field.
    """
    costs, sources = Costs(store), Inputs(data_dir)
    return [_plan(study, store, sources, costs) for study in studies]


def shared_runs(plans: Sequence[Plan]) -> int:
    """Runs that more than one of the studies needs."""
    return sum(n > 1 for n in Counter(run for plan in plans for run in plan.needs).values())


def _plan(study: StudySpec, store: Path, sources: Inputs, costs: Costs) -> Plan:
    planned = expand(study, store, sources=sources)
    runs = list(distinct(planned))
    states = inspect([one.cell for one in runs], store, study.name)
    owed = [one for one, cell in zip(runs, states, strict=True) if cell.state != "done"]
    made = {thing.key: thing for one in owed for thing in one.first}
    first = {thing.title: costs.made(thing) for thing in made.values()}
    known = [*(costs.run(one.identity) for one in owed), *first.values()]
    seconds = [cost for cost in known if cost is not None]
    return Plan(
        study=study,
        cells=inspect([one.cell for one in planned], store, study.name),
        needs=frozenset(one.identity.fingerprint for one in runs),
        done=len(runs) - len(owed),
        first=first,
        seconds=sum(seconds) if len(seconds) == len(known) else None,
    )
