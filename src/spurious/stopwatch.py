"""Wall-clock seconds by phase, for metrics; the only fields of a run that differ between two identical runs."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Stopwatch:
    """Collects the seconds spent in named phases until the next lap."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Count the time inside the block towards a phase."""
        start = perf_counter()
        try:
            yield
        finally:
            self.add(phase, perf_counter() - start)

    def add(self, phase: str, seconds: float) -> None:
        """Count time that was measured elsewhere."""
        self._seconds[phase] += seconds

    def lap(self) -> dict[str, float]:
        """Return `seconds/<phase>` since the last lap and start over."""
        seconds = {f"seconds/{phase}": round(value, 4) for phase, value in sorted(self._seconds.items())}
        self._seconds.clear()
        return seconds
