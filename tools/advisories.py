"""Which pinned packages have a known vulnerability: constraints.txt against a local copy of OSV's advisories.

    python tools/advisories.py all.zip [--constraints constraints.txt]

The copy is https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip, or a folder of the same JSON files (OSV
schema 1.x); nothing is asked of the network here, so that the same answer can be had again, and offline. Exits 1 if a
pinned version is affected, 2 if the input cannot be read. Online, `pip-audit -r constraints.txt --no-deps` asks it too.
"""

import argparse
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


class Hit(NamedTuple):
    """A pinned package with a known vulnerability."""

    package: str
    version: Version
    advisory: str
    summary: str
    fixed: str
    """The versions that mend it, as far as the advisory says."""


def pins(constraints: Path) -> dict[str, Version]:
    """The exact versions of a constraints file, by canonical name.

    Raises:
        ValueError: A line that does not pin one version.
    """
    found = {}
    for number, line in enumerate(constraints.read_text(encoding="utf-8").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        requirement = Requirement(text)
        exact = [one.version for one in requirement.specifier if one.operator == "=="]
        if len(exact) != 1 or len(requirement.specifier) != 1:
            raise ValueError(f"{constraints}, line {number}: {text!r} does not pin one version")
        found[canonicalize_name(requirement.name)] = Version(exact[0])
    return found


def advisories(source: Path) -> Iterator[Mapping[str, Any]]:
    """Every advisory of a zip file or folder that has not been withdrawn."""
    if source.is_dir():
        texts: Iterator[bytes] = (path.read_bytes() for path in sorted(source.rglob("*.json")))
    else:
        archive = zipfile.ZipFile(source)
        texts = (archive.read(name) for name in sorted(archive.namelist()) if name.endswith(".json"))
    for text in texts:
        advisory = json.loads(text)
        if not advisory.get("withdrawn"):
            yield advisory


def affected(version: Version, entry: Mapping[str, Any]) -> bool:
    """Whether one `affected` entry of an advisory names this version, in its list or in one of its ranges."""
    if any(_same(version, listed) for listed in entry.get("versions", ())):
        return True
    return any(
        _in_range(version, given["events"]) for given in entry.get("ranges", ()) if given.get("type") == "ECOSYSTEM"
    )


def hits(pinned: Mapping[str, Version], source: Path) -> list[Hit]:
    """Pinned packages with a known vulnerability, by name and advisory."""
    found = []
    for advisory in advisories(source):
        for entry in advisory.get("affected", ()):
            package = entry.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") == "PyPI" and name in pinned and affected(pinned[name], entry):
                fixed = [e["fixed"] for r in entry.get("ranges", ()) for e in r["events"] if "fixed" in e]
                said = advisory.get("summary") or advisory.get("details", "")[:100]
                found.append(Hit(name, pinned[name], advisory["id"], said, ", ".join(fixed) or "none yet"))
    return sorted(set(found))


def _in_range(version: Version, events: Sequence[Mapping[str, str]]) -> bool:
    """OSV's algorithm: the last event at or before the version decides."""
    inside = False
    for event in sorted(events, key=lambda e: _order(next(iter(e.values())))):
        kind, text = next(iter(event.items()))
        if kind == "last_affected":
            if version > _order(text):
                inside = False
        elif version >= _order(text):
            inside = kind == "introduced"
    return inside


def _order(text: str) -> Version:
    return Version("0.dev0") if text == "0" else Version(text)


def _same(version: Version, listed: str) -> bool:
    try:
        return version == Version(listed)
    except InvalidVersion:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is affected; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="OSV's advisories of PyPI: a zip file, or a folder of JSON files")
    parser.add_argument("--constraints", type=Path, default=Path("constraints.txt"))
    given = parser.parse_args(arguments)
    try:
        pinned = pins(given.constraints)
        found = hits(pinned, given.source)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        print(f"advisories: {error}", file=sys.stderr)
        return 2
    for hit in found:
        print(f"{hit.package} {hit.version}: {hit.advisory}: {hit.summary} (fixed in {hit.fixed})")
    print(f"{len(pinned)} pinned packages, {len({hit.package for hit in found})} affected")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
