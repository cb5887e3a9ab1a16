"""One run directory: created, resumed after any crash, and finished. Who writes results writes them through here.

    manifest.json              what the run is and who attempted it
    metrics.jsonl              one line a step
    rollouts/000020.parquet    the completions sampled at step 20, one row each
    evals/000020-chain.parquet the evaluation of the weights at step 20
    checkpoints/000020/        weights and optimizer after 20 steps, and the digests of their files
    digests.txt                SHA-256 of every manifest, table and metrics line, from before it appeared
    broken/000020.parquet      the completions of step 20, where a NaN, an infinity or the reward ended the run there
    logs/attempt-1.log
    DONE                       written last: its existence means the run is complete

The last checkpoint is the truth: on resume everything newer is cut away and done again, to the same bytes.
"""

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from traceback import format_exception
from types import TracebackType
from typing import IO, Any, Self

import polars as pl

from spurious.errors import LockedError, StoreError, told_to_stop
from spurious.store import digests
from spurious.store.digests import Digests
from spurious.store.files import (
    UNFINISHED,
    file_digest,
    remove,
    remove_whole,
    replacing,
    write_text,
)
from spurious.store.written import (
    CHECKPOINT,
    METRICS,
    check_checkpoint,
    known_files,
    line_name,
    read_lines,
    read_manifest,
    step_of,
    written_by,
)

KEPT_CHECKPOINTS = 2

BROKEN = "broken"

LOCK_PATIENCE = 0.2
"""Seconds to insist on a lock: who only looks whether a run is being written holds it for an instant."""


@dataclass(frozen=True)
class Identity:
    """What a run is, as its manifest says it."""

    fingerprint: str
    spec: Mapping[str, Any]
    """The resolved specification as JSON."""
    inputs: Mapping[str, str]
    facts: Mapping[str, Any]
    """Operators in words, versions, device, commit: recorded at the first attempt, no part of the identity."""

    def with_facts(self, **facts: Any) -> Self:
        """The same run with more facts; null ones are left out."""
        return replace(self, facts={**self.facts, **{name: fact for name, fact in facts.items() if fact is not None}})


class Run:
    """An open run directory, locked against a second writer. Use as a context manager."""

    def __init__(self, directory: Path, identity: Identity) -> None:
        """Create or reopen the directory.

        Raises:
            StoreError: another process is writing it, it belongs to another run, or one of its files is damaged or a
                symbolic link.
        """
        self.directory = directory
        if directory.exists() and not directory.is_dir():
            raise StoreError(f"{directory}: is a file, not a run directory")
        directory.mkdir(parents=True, exist_ok=True)
        _refuse_links(directory)
        self._lock = _lock(directory)
        self._digests = Digests(directory)
        self._metrics: IO[str] | None = None
        try:
            self.manifest = self._claim(identity)
            self._clear_unfinished()
            self.start_step = self._cut_back()
            self._begin_attempt()
        except BaseException:
            self._lock.close()
            raise

    @property
    def done(self) -> bool:
        """Whether the run is complete."""
        return (self.directory / "DONE").exists()

    @property
    def log(self) -> Path:
        """The log of the latest attempt."""
        return self.directory / "logs" / f"attempt-{len(self.manifest['attempts'])}.log"

    @property
    def checkpoint(self) -> Path | None:
        """The directory to restore from, or None at the very start."""
        return self.directory / "checkpoints" / f"{self.start_step:06d}" if self.start_step else None

    def write_metrics(self, row: Mapping[str, Any]) -> None:
        """Append one step's metrics; `row` holds `step`."""
        if self._metrics is None:
            self._metrics = (self.directory / METRICS).open("a", encoding="utf-8")
        line = json.dumps(row, allow_nan=False)
        self._digests.add_text(line_name(row["step"]), line)
        self._metrics.write(line + "\n")
        self._metrics.flush()

    def write_rollouts(self, step: int, frame: pl.DataFrame) -> None:
        """Store the completions sampled at a step."""
        self._write_frame(self.directory / "rollouts" / f"{step:06d}.parquet", frame)

    def write_broken(self, step: int, frame: pl.DataFrame) -> Path:
        """Keep the rollout batch of a step that ended the run, for study; the next attempt removes it."""
        path = self.directory / BROKEN / f"{step:06d}.parquet"
        self._write_frame(path, frame)
        return path

    def has_eval(self, step: int, bench: str) -> bool:
        """Whether this evaluation was stored by an earlier attempt."""
        return self._eval_path(step, bench).exists()

    def write_eval(self, step: int, bench: str, frame: pl.DataFrame) -> None:
        """Store the rows of one benchmark at a step."""
        self._write_frame(self._eval_path(step, bench), frame)

    def write_checkpoint(self, step: int, write: Callable[[Path], None]) -> None:
        """Store the state after `step` steps; `write` fills the directory it is given. The last two are kept."""
        if self._metrics is not None:
            os.fsync(self._metrics.fileno())
        with replacing(self.directory / "checkpoints" / f"{step:06d}") as temporary:
            temporary.mkdir()
            write(temporary)
            digests = {path.name: file_digest(path) for path in sorted(temporary.iterdir())}
            (temporary / CHECKPOINT).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
        self._drop_old_checkpoints()

    def say(self, message: str) -> None:
        """Append a line to this attempt's log."""
        with self.log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{_now()} {message}\n")

    def finish(self) -> None:
        """Mark the run complete; the last thing that is ever written."""
        if self._metrics is not None:
            os.fsync(self._metrics.fileno())
        self._end_attempt("done")
        write_text(self.directory / "DONE", self.manifest["fingerprint"] + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:  # let go whatever happens here: a full disk cannot be told anything
            try:
                if error is not None:
                    self.say("".join(format_exception(error)).rstrip())
                    self._end_attempt("interrupted" if told_to_stop(error) else "failed", error)
            finally:
                if self._metrics is not None:
                    self._metrics.close()

    def _claim(self, identity: Identity) -> dict[str, Any]:
        path = self.directory / "manifest.json"
        if path.exists():
            manifest = read_manifest(self.directory)
            if manifest["fingerprint"] != identity.fingerprint:
                raise StoreError(
                    f"{self.directory}: holds run {manifest['fingerprint']}, not {identity.fingerprint}; "
                    f"it differs in {_difference(manifest, identity)}. Choose another directory"
                )
            return manifest
        ours = (".lock", digests.NAME)
        strangers = [
            p.name for p in self.directory.iterdir() if p.name not in ours and not p.name.startswith(UNFINISHED)
        ]
        if strangers:
            raise StoreError(f"{self.directory}: not empty and not a run directory (it holds {strangers[0]!r})")
        return {
            "fingerprint": identity.fingerprint,
            "spec": dict(identity.spec),
            "inputs": dict(identity.inputs),
            **identity.facts,
            "digests": digests.NAME,
            "attempts": [],
        }

    def _clear_unfinished(self) -> None:
        for folder in (self.directory, *(self.directory / name for name in ("rollouts", "evals", "checkpoints"))):
            if folder.is_dir():
                for path in folder.glob(f"{UNFINISHED}*"):
                    remove(path)

    def _checkpoints(self) -> list[Path]:
        return sorted(path for path in (self.directory / "checkpoints").glob("[0-9]*") if path.is_dir())

    def _drop_old_checkpoints(self) -> None:
        for old in self._checkpoints()[:-KEPT_CHECKPOINTS]:
            remove_whole(old)

    def _cut_back(self) -> int:
        """Remove what is newer than the last checkpoint and return its step."""
        if self.done:
            return int(self._checkpoints()[-1].name) if self._checkpoints() else 0
        if not self.manifest["attempts"]:
            self._digests.keep(lambda _: False)  # of a manifest that a crash has kept from appearing
            return 0
        checkpoints = self._checkpoints()
        start = 0
        if checkpoints:
            check_checkpoint(checkpoints[-1])
            start = int(checkpoints[-1].name)
            self._drop_old_checkpoints()  # a crash may have come between the new one and this
        known = known_files(self.directory, self.manifest)
        lines = [line for step, line in read_lines(self.directory, known) if step < start]
        if (self.directory / METRICS).exists():
            write_text(self.directory / METRICS, "".join(f"{line}\n" for line in lines))
        for folder, last in (("rollouts", start - 1), ("evals", start)):
            for path in sorted((self.directory / folder).glob("[0-9]*.parquet")):
                if step_of(path.name) > last:
                    path.unlink()
                else:
                    known.check(f"{folder}/{path.name}")
        remove(self.directory / BROKEN)
        self._digests.keep(lambda name: written_by(name, start))
        return start

    def _begin_attempt(self) -> None:
        if self.done:
            return
        number = len(self.manifest["attempts"]) + 1
        self.manifest["attempts"].append(
            {
                "attempt": number,
                "start_step": self.start_step,
                "pid": os.getpid(),
                "started": _now(),
                "status": "running",
            }
        )
        self._write_manifest()  # first: without it this is no run directory
        self.log.parent.mkdir(exist_ok=True)

    def _end_attempt(self, status: str, error: BaseException | None = None) -> None:
        attempt = self.manifest["attempts"][-1]
        attempt.update(status=status, ended=_now())
        if error is not None:
            attempt["error"] = f"{type(error).__name__}: {error}"
        self._write_manifest()

    def _write_manifest(self) -> None:
        text = json.dumps(self.manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        self._digests.add_text("manifest.json", text)
        write_text(self.directory / "manifest.json", text)

    def _eval_path(self, step: int, bench: str) -> Path:
        return self.directory / "evals" / f"{step:06d}-{bench}.parquet"

    def _write_frame(self, path: Path, frame: pl.DataFrame) -> None:
        name = f"{path.parent.name}/{path.name}"
        with replacing(path, lambda temporary: self._digests.add(name, file_digest(temporary))) as temporary:
            frame.write_parquet(temporary)


def _refuse_links(directory: Path) -> None:
    """Refuse a directory in which a link would send what is written to another place."""
    for folder in (directory, *(path for path in directory.iterdir() if path.is_dir())):
        for path in folder.iterdir():
            if path.is_symlink():
                raise StoreError(f"{path}: a symbolic link; a run directory holds its own files only")


def _lock(directory: Path) -> IO[str]:
    file = (directory / ".lock").open("a", encoding="utf-8")
    patience = monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError as error:
            if monotonic() > patience:
                file.close()
                raise LockedError(f"{directory}: another process is writing this run") from error
        sleep(LOCK_PATIENCE / 10)


def _difference(manifest: Mapping[str, Any], identity: Identity) -> str:
    old, new = _flat({"spec": manifest["spec"]}), _flat({"spec": dict(identity.spec)})
    old |= _flat({"inputs": manifest["inputs"]})
    new |= _flat({"inputs": dict(identity.inputs)})
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    shown = [f"{name.removeprefix('spec.')} ({old.get(name)!r}, now {new.get(name)!r})" for name in names[:4]]
    return ", ".join(shown) + (f" and {len(names) - 4} more" if len(names) > 4 else "") if names else "its version"


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {k: v for name, inner in value.items() for k, v in _flat(inner, f"{prefix}.{name}".lstrip(".")).items()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
