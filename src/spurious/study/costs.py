"""What a run will take, judged by finished runs of its kind; unknown where there is none."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spurious.specs import RunSpec
from spurious.store import Identity, read_manifest
from spurious.store.fingerprint import digest
from spurious.store.state import run_state
from spurious.study.cells import Planned
from spurious.study.made import Made, Organism, Trained, Votes

_NOT_COST = {"model", "revision", "seed", "save_every"}
_ARM = {"reward", "label"}
_BENCHES = {"benches", "eval_every"}


@dataclass(slots=True)
class _Mean:
    """The mean of what was added so far."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.count += 1

    @property
    def value(self) -> float:
        return self.total / self.count


class Costs:
    """Seconds by kind of run: first the same arm on the same model, then any arm on it, any model, any benchmarks."""

    def __init__(self, store: Path) -> None:
        """Read the finished runs, the organisms and the votes of a store."""
        self._known: defaultdict[str, _Mean] = defaultdict(_Mean)
        self._made: defaultdict[str, _Mean] = defaultdict(_Mean)
        self._kinds: dict[str, tuple[str, ...]] = {}
        """By fingerprint: a study asks for the same runs again with every message of a worker."""
        for done in sorted(store.glob("*--*/DONE")):
            manifest = read_manifest(done.parent)
            self._add(
                RunSpec.model_validate(manifest["spec"]).model_dump(mode="json"),
                manifest["inputs"],
                run_state(done.parent).seconds,
            )
        for record in sorted(store.glob("organisms/*/organism.json")):
            self._made["organism"].add(float(json.loads(record.read_text(encoding="utf-8"))["seconds"]))
        for record in sorted(store.glob("votes/*.json")):
            votes = json.loads(record.read_text(encoding="utf-8"))
            if votes["whole"]:
                self._made[votes["kind"]].add(float(votes["seconds"]))

    def run(self, identity: Identity) -> float | None:
        """Mean seconds of the finished runs that are most like this one."""
        kinds = self._kinds.get(identity.fingerprint)
        if kinds is None:
            kinds = self._kinds[identity.fingerprint] = _kinds(identity.spec, identity.inputs)
        for kind in kinds:
            if kind in self._known:
                return self._known[kind].value
        return None

    def made(self, made: Made) -> float | None:
        """Mean seconds that things like this took to make."""
        if isinstance(made, Trained):
            return self.run(made.identity)
        known = self._made.get(_made_kind(made))
        return known.value if known else None

    def learn(self, work: Made | Planned, seconds: float) -> None:
        """Add a run, or a thing that is made before runs, which one process has just finished."""
        if isinstance(work, Planned | Trained):
            self._add(work.identity.spec, work.identity.inputs, seconds)
        else:
            self._made[_made_kind(work)].add(seconds)

    def _add(self, spec: Mapping[str, Any], inputs: Mapping[str, str], seconds: float) -> None:
        for kind in _kinds(spec, inputs):
            self._known[kind].add(seconds)


def _made_kind(made: Organism | Votes) -> str:
    return "organism" if isinstance(made, Organism) else made.kind


def _kinds(spec: Mapping[str, Any], inputs: Mapping[str, str]) -> tuple[str, ...]:
    fields = {name: value for name, value in spec.items() if name not in _NOT_COST}
    any_arm = {name: value for name, value in fields.items() if name not in _ARM}
    any_bench = {name: value for name, value in any_arm.items() if name not in _BENCHES}
    model = inputs["model"]
    return digest([fields, model]), digest([any_arm, model]), digest([any_arm]), digest([any_bench])
