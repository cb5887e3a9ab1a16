"""The ends of the declared version ranges, and what is published, each in a clean virtual environment.

    python tools/matrix.py [oldest] [newest] [wheel] [sdist] [--tests tests/grpo ...]

`oldest` installs the lowest version that pyproject.toml allows of every package of the core, `newest` the highest that
the index has, and both run the tests, those that need an extra skipping themselves; a warning is no failure there, as
new versions deprecate things. `wheel` and `sdist` are built, installed under constraints.txt and asked for `spurious
demo --profile quick` away from this checkout. Versions and counts are kept in docs/matrix.json and shown in
docs/install.md. Exit status 1: something failed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from spurious.report.marked import filled, table

ROOT = Path(__file__).resolve().parents[1]
RECORD, PAGE = ROOT / "docs" / "matrix.json", ROOT / "docs" / "install.md"
TESTS = tuple(
    f"tests/{room}" for room in ("analysis", "grpo", "policy", "signals", "store", "study", "tasks", "verify")
)
"""What leans on the packages of the core."""
SHOWN = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "polars", "pydantic")
ENDS, PACKAGES = ("oldest", "newest"), ("wheel", "sdist")


def declared(*groups: str) -> list[Requirement]:
    """The requirements of the core, or of some extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [text for group in groups for text in project["optional-dependencies"][group]]
    return [Requirement(text) for text in texts or project["dependencies"]]


def lowest(requirements: Sequence[Requirement]) -> list[str]:
    """`name==version` of the lower end of every range.

    Raises:
        ValueError: a requirement that has no lower end.
    """
    pins = []
    for one in requirements:
        lower = [bound.version for bound in one.specifier if bound.operator == ">="]
        if len(lower) != 1:
            raise ValueError(f"{one}: no lowest version")
        pins.append(f"{one.name}=={lower[0]}")
    return pins


class Environment:
    """A new virtual environment."""

    def __init__(self, place: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        self.python = place / "bin" / "python"

    def install(self, *wanted: str, constraint: Path | None = None) -> None:
        """With pip, newest first."""
        under = ["--constraint", str(constraint)] if constraint else []
        self.run("-m", "pip", "install", "--quiet", "--upgrade", *under, *wanted).check_returncode()

    def run(self, *arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[bytes]":
        """Its Python, without this checkout on its path."""
        outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run([self.python, *arguments], cwd=cwd, env=outside, check=False)

    def versions(self) -> dict[str, str]:
        """Of Python and of every package."""
        program = (
            "import json, sys; from importlib.metadata import distributions;"
            "print(json.dumps({'python': sys.version.split()[0], **{d.name: d.version for d in distributions()}}))"
        )
        printed = subprocess.run([self.python, "-c", program], capture_output=True, text=True, check=True).stdout
        return dict(json.loads(printed))


def end(which: str, home: Path, tests: Sequence[str]) -> dict[str, Any]:
    """Test one end of the ranges: what was installed and how many tests passed."""
    environment = Environment(home / "venv")
    core = lowest(declared()) if which == "oldest" else [str(one) for one in declared()]
    tools = [str(one) for one in declared("dev")]
    if which == "oldest":
        (home / "lowest.txt").write_text("\n".join(core), encoding="utf-8")
        environment.install(*tools, str(ROOT), constraint=home / "lowest.txt")
    else:
        environment.install(*tools, *core, str(ROOT))
    results = home / "results.xml"
    options = ("-W", "default", "-q", "-p", "no:cacheprovider", "--numprocesses", "2", f"--junitxml={results}")
    environment.run("-m", "pytest", *options, *tests)
    (suite,) = ElementTree.parse(results).getroot().iter("testsuite")
    counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    failed = counts["failures"] + counts["errors"]
    passed = counts["tests"] - failed - counts["skipped"]
    return {
        "did": f"{passed} tests passed, {failed} failed, {counts['skipped']} skipped ({', '.join(tests)})",
        "good": failed == 0 and passed > 0,
        "versions": environment.versions(),
    }


def published(which: str, home: Path) -> dict[str, Any]:
    """Build a package, install it, and train, evaluate and report with it where there is nothing else."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", which, "-d", home / "dist"], cwd=ROOT, check=True)
    (package,) = (path for path in (home / "dist").iterdir() if path.suffix in {".whl", ".gz"})
    environment = Environment(home / "venv")
    environment.install(str(package), constraint=ROOT / "constraints.txt")
    started = time.perf_counter()
    done = environment.run("-m", "spurious", "demo", "--profile", "quick", "--out", "demo", cwd=home)
    runs = len(list((home / "demo").glob("*/DONE")))
    pages = list((home / "demo" / "studies").glob("*/report.html"))
    minutes = (time.perf_counter() - started) / 60
    return {
        "did": f"exit status {done.returncode}, {runs} runs and {len(pages)} page in {minutes:.0f} minutes",
        "good": done.returncode == 0 and len(pages) == 1,
        "versions": environment.versions(),
    }


def rows(record: dict[str, Any]) -> str:
    """The table of docs/install.md."""
    if not record:
        return "Not tried yet: `make matrix`."
    heads = ("what", "Python", *SHOWN, "what was done", "on")
    lines = [
        [
            f"`{name}`",
            found["versions"]["python"],
            *(found["versions"][package] for package in SHOWN),
            found["did"],
            found["date"],
        ]
        for name, found in record.items()
    ]
    return table(heads, lines)


def page(record: dict[str, Any]) -> str:
    """The text of docs/install.md with the table of a record."""
    return filled(PAGE, "tried", lambda _: rows(record))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join((*ENDS, *PACKAGES))}; all by default")
    parser.add_argument("--tests", nargs="+", default=TESTS)
    asked = parser.parse_args(arguments)
    if unknown := set(asked.kinds) - {*ENDS, *PACKAGES}:
        parser.error(f"there is no {min(unknown)}")
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    good = True
    for kind in asked.kinds or (*ENDS, *PACKAGES):
        with tempfile.TemporaryDirectory() as home:
            found = end(kind, Path(home), asked.tests) if kind in ENDS else published(kind, Path(home))
        found["versions"] = {name: found["versions"][name] for name in ("python", *SHOWN)}
        print(f"{kind}: {found['did']}", flush=True)
        good &= found.pop("good")
        record[kind] = {**found, "date": datetime.now(UTC).date().isoformat()}
        record = {name: record[name] for name in (*ENDS, *PACKAGES) if name in record}
        RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        PAGE.write_text(page(record), encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
