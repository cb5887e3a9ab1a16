"""What a run will take, judged by finished runs of its kind; unknown where there is none."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from spurious.store import read_manifest
from spurious.store.fingerprint import digest
from spurious.store.state import run_state
from spurious.study.cells import Organism, Planned

_NOT_COST = {"model", "revision", "seed", "save_every"}
_ARM = {"reward", "label"}


class Costs:
    """Seconds by kind of run: first the same arm on the same model, then any arm on it, then any model."""

    def __init__(self, store: Path) -> None:
        """Read the finished runs and the organisms of a store."""
        self._known: defaultdict[str, list[float]] = defaultdict(list)
        self._organisms: list[float] = []
        for done in sorted(store.glob("*--*/DONE")):
            manifest = read_manifest(done.parent)
            self._add(manifest["spec"], manifest["inputs"], run_state(done.parent).seconds)
        for record in sorted(store.glob("organisms/*/organism.json")):
            self._organisms.append(float(json.loads(record.read_text(encoding="utf-8"))["seconds"]))

    def run(self, planned: Planned) -> float | None:
        """Mean seconds of the finished runs that are most like this one."""
        for kind in _kinds(planned.identity.spec, planned.identity.inputs):
            if kind in self._known:
                return fmean(self._known[kind])
        return None

    def organism(self, organism: Organism) -> float | None:
        """Mean seconds that the store's organisms took to build; nothing for one that is there."""
        if organism.built:
            return 0.0
        return fmean(self._organisms) if self._organisms else None

    def learn(self, planned: Planned, seconds: float) -> None:
        """Add a run that has just been finished."""
        self._add(planned.identity.spec, planned.identity.inputs, seconds)

    def learn_organism(self, seconds: float) -> None:
        """Add an organism that has just been built."""
        self._organisms.append(seconds)

    def _add(self, spec: Mapping[str, Any], inputs: Mapping[str, str], seconds: float) -> None:
        for kind in _kinds(spec, inputs):
            self._known[kind].append(seconds)


def _kinds(spec: Mapping[str, Any], inputs: Mapping[str, str]) -> tuple[str, str, str]:
    fields = {name: value for name, value in spec.items() if name not in _NOT_COST}
    any_arm = {name: value for name, value in fields.items() if name not in _ARM}
    return digest([fields, inputs["model"]]), digest([any_arm, inputs["model"]]), digest([any_arm])
