"""What a folder's files were when they were written: `digests.txt`, one line each, SHA-256 and name.

A disk that flips a bit changes a number without a word: parquet and JSON stay readable. So the digest is written down
and synced before the thing itself appears, and whoever reads the thing asks whether it is one that was written. A line
without its file is what a crash leaves. A folder without digests is one from before they were kept.
"""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from spurious.errors import StoreError
from spurious.store.files import complete_lines, file_digest, replacing, write_text

NAME = "digests.txt"


class Digests:
    """The digests of one folder. A name may have several: a file that was written again is any of its versions."""

    def __init__(self, folder: Path) -> None:
        """Of a folder that is there, or will be when something is added."""
        self._folder = folder
        self._path = folder / NAME

    def add(self, name: str, digest: str) -> None:
        """Write down what is about to be written under `name`."""
        with self._path.open("ab+") as file:
            whole = file.seek(0, os.SEEK_END)
            if whole and os.pread(file.fileno(), 1, whole - 1) != b"\n":  # a full disk has torn the line before
                file.truncate(self._path.read_bytes().rfind(b"\n") + 1)
            file.write(f"{digest}  {name}\n".encode())
            file.flush()
            os.fsync(file.fileno())

    def add_text(self, name: str, text: str) -> None:
        """`add` for text that is about to be written as UTF-8."""
        self.add(name, text_digest(text))

    def add_files(self) -> None:
        """Write down every file that is in the folder now."""
        for path in sorted(self._folder.iterdir()):
            self.add(path.name, file_digest(path))

    def write(self, name: str, text: str) -> None:
        """Write a whole text file into the folder, atomically, and its digest before it."""
        if text_digest(text) not in self.read().of(name):
            self.add_text(name, text)
        write_text(self._folder / name, text)

    def text(self, name: str) -> str:
        """What `write` wrote.

        Raises:
            StoreError: the file cannot be read or is damaged.
        """
        try:
            text = (self._folder / name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise StoreError(f"{self._folder / name}: damaged ({error})") from error
        self.read().check_text(name, text)
        return text

    def keep(self, keep: Callable[[str], bool]) -> None:
        """Forget the names that `keep` refuses; a torn last line is forgotten too."""
        if self._path.exists():
            lines = [line for line in complete_lines(self._path) if keep(line[66:])]
            write_text(self._path, "".join(f"{line}\n" for line in lines))

    def read(self, *, whole: bool = False) -> "Known":
        """What is known of the folder; `whole` says that everything in it was written down.

        Raises:
            StoreError: the list cannot be read, or is missing where there must be one.
        """
        if whole and not self._path.exists():
            raise StoreError(f"{self._path}: missing; without it nothing here can be told from what a disk made of it")
        known: defaultdict[str, set[str]] = defaultdict(set)
        for number, line in enumerate(complete_lines(self._path) if self._path.exists() else (), 1):
            if not re.fullmatch(r"[0-9a-f]{64}  .+", line):
                raise StoreError(f"{self._path}, line {number}: damaged")
            known[line[66:]].add(line[:64])
        return Known(self._folder, known, whole=whole)


class Known:
    """The digests of a folder as they were when they were read."""

    def __init__(self, folder: Path, digests: Mapping[str, Collection[str]], *, whole: bool = False) -> None:
        """By name; what has no digest is refused where `whole`, and let pass elsewhere."""
        self._folder, self._digests, self._whole = folder, digests, whole

    def of(self, name: str) -> Collection[str]:
        """The digests of one name."""
        return self._digests.get(name, ())

    def names(self, prefix: str = "") -> list[str]:
        """Everything that was written down under names that begin like this."""
        return [name for name in self._digests if name.startswith(prefix)]

    def check(self, name: str) -> None:
        """Refuse a file that is not as it was written.

        Raises:
            StoreError: it is changed, missing, or was never written down where everything was.
        """
        if not (self._folder / name).exists():
            raise StoreError(f"{self._folder / name}: missing; {NAME} says that it was written")
        if self._whole or name in self._digests:
            self.check_digest(name, file_digest(self._folder / name))

    def check_text(self, name: str, text: str) -> None:
        """`check` for text that was read already."""
        self.check_digest(name, text_digest(text))

    def check_digest(self, name: str, digest: str) -> None:
        """`check` for content whose digest was taken already."""
        if digest not in self._digests.get(name, () if self._whole else (digest,)):
            raise StoreError(f"{self._folder / name}: damaged, not what was written (its digest is in {NAME})")


@contextmanager
def noted(path: Path) -> Iterator[Path]:
    """`files.replacing` for a file whose digest is written down in its folder."""
    digests = Digests(path.parent)
    with replacing(path, lambda temporary: digests.add(path.name, file_digest(temporary))) as temporary:
        yield temporary


def check_noted(path: Path) -> None:
    """Refuse a file that its folder, or the run that its folder is a part of, says was another.

    Raises:
        StoreError: it is damaged.
    """
    for folder in (path.parent, path.parent.parent):
        Digests(folder).read().check(path.relative_to(folder).as_posix())


def text_digest(text: str) -> str:
    """Hex sha256 of text as UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
