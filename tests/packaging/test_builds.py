"""What is published: the same bytes from the same files, wherever and whenever they are built, and nothing missing."""

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def sources() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: what belongs to the package is not known")
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def build(place: Path, when: int) -> dict[str, Path]:
    """Build both packages from a copy of the tracked files, all of one time."""
    copy, out = place / "copy", place / "out"
    for name in sources():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
        os.utime(copy / name, (when, when))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(out)], cwd=copy, check=True, capture_output=True
    )
    return {path.suffix: path for path in out.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return [build(tmp_path_factory.mktemp(f"at-{when}"), when) for when in (1_000_000_000, 1_700_000_000)]


@pytest.mark.slow
def test_two_builds_at_two_places_and_times_are_the_same_bytes(built):
    first, second = (
        {kind: hashlib.sha256(path.read_bytes()).hexdigest() for kind, path in one.items()} for one in built
    )
    assert set(first) == {".whl", ".gz"}
    assert first == second


@pytest.mark.slow
def test_the_wheel_holds_every_source_and_recipe_and_nothing_else(built):
    names = zipfile.ZipFile(built[0][".whl"]).namelist()
    packaged = {name for name in names if name.startswith("spurious/")}
    assert packaged == {path.relative_to("src").as_posix() for path in sources() if path.parts[0] == "src"}
    assert all("dist-info" in name for name in set(names) - packaged)


@pytest.mark.slow
def test_the_source_archive_can_be_tested_and_run(built):
    with tarfile.open(built[0][".gz"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "constraints.txt", "pyproject.toml", "README.md", "LICENSE", "studies/paper/F1.yaml"} <= names
    assert {path.as_posix() for path in sources() if path.parts[0] in {"src", "tests", "benchmarks", "tools"}} <= names
