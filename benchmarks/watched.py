"""A command of ours, watched: its seconds and its own largest memory."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_WATCH = (
    "import resource, subprocess, sys;"
    "code = subprocess.call([sys.executable, '-m', 'spurious', *sys.argv[1:]], stdout=subprocess.DEVNULL);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)
"""A process of its own between: the kernel counts what a parent held at the fork as its child's."""


def watched(command: Sequence[str | Path]) -> tuple[float, float]:
    """Seconds and bytes.

    Raises:
        RuntimeError: it failed; the message is what it said.
    """
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", _WATCH, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"spurious {' '.join(map(str, command))}: {done.stderr}")
    return time.perf_counter() - started, 1024.0 * int(done.stdout)
