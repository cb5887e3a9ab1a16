"""The process of one run on any machine that sees the store: started by name, it does what `spurious.study.child` does.

Whoever starts it writes one line to its standard input, and holds that open: its end means that the starter is gone,
and so this process ends at once too. Reports go into a file in the store, where the parent of the study reads them.
"""

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PATIENCE = 10.0
"""Seconds a process may take to stop when it is asked to, before it is killed."""


def work(asked: dict[str, Any]) -> int:
    """Run the process to its end: what a task of Ray, or a job of Slurm, does.

    Args:
        asked: `request`, `log` and `reports` as paths, and `directory`, `path` and `threads`: where it works, what it
            may import from, and its threads.

    Returns:
        Its exit status; negative: the signal that killed it.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(asked["threads"])}
    if asked["path"]:
        environment["PYTHONPATH"] = asked["path"]
    command = [sys.executable, "-m", "spurious.study.remote"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=asked["directory"], env=environment) as process:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.flush()
            return process.wait()
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """See to it that it has ended: asked first, so that it says in its manifest that it was interrupted."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()


def ended(status: int) -> str:
    """An exit status in words, of a process that said none itself."""
    if status < 0:
        hint = " (out of memory?)" if -status == signal.SIGKILL else ""
        return f"its process was killed by {signal.Signals(-status).name}{hint}"
    return f"its process ended without a word, exit status {status}"


def main() -> None:
    """The process."""
    asked = json.loads(sys.stdin.buffer.readline())
    import_module("spurious.study.preload")
    from spurious.study import child

    reports = os.open(asked["reports"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    child.main(asked["request"], Path(asked["log"]), Connection(os.dup(0)), Connection(reports))


if __name__ == "__main__":
    main()
