"""What an installation takes: the page shows what was measured, of every extra; and the core holds what it imports."""

import ast
import importlib
import json
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = {"pyyaml": "yaml", "reasoning_gym": "reasoning_gym"}
"""Distributions whose module is not called as they are."""
ELSEWHERE = {"markupsafe": "jinja2", "huggingface_hub": "transformers"}
"""What is imported without being named, and which dependency always brings it."""


@pytest.fixture(scope="module")
def sizes():
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("install_sizes")


def module(requirement):
    name = requirement.split("[")[0].split("=")[0].split("<")[0].split(">")[0].strip().lower().replace("-", "_")
    return MODULES.get(name, name)


def imported():
    """The modules that the package imports anywhere, lazily too, without its own and the standard library's."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - {"spurious"} - sys.stdlib_module_names


def test_every_core_dependency_is_imported_and_every_import_is_declared():
    core = {module(one) for one in PROJECT["dependencies"]}
    extras = {module(one) for extra in PROJECT["optional-dependencies"].values() for one in extra}
    assert core - imported() == set()
    assert imported() - core - extras - set(ELSEWHERE) == set()


def test_the_page_shows_what_was_measured_of_every_extra(sizes):
    record = json.loads(sizes.RECORD.read_text(encoding="utf-8"))
    page = sizes.PAGE.read_text(encoding="utf-8")
    assert sizes.page(record) == page, "run: python benchmarks/install_sizes.py --write"
    assert list(record["sizes"]) == [sizes.CORE, *PROJECT["optional-dependencies"]]
    for extra in PROJECT["optional-dependencies"]:
        assert f"`{extra}`" in page.partition("## What it takes")[0]


def test_an_extra_that_a_command_needs_was_missed_in_the_core(sizes):
    record = json.loads(sizes.RECORD.read_text(encoding="utf-8"))
    said = record["sizes"][sizes.CORE]["commands"]
    assert said.keys() == sizes.LACKING.keys()
    assert all(f"spurious[{extra}]" in message for extra, message in said.items())
    assert f"```text\n{said['figures']}\n```" in sizes.PAGE.read_text(encoding="utf-8")


def test_an_environment_is_measured_file_by_file(sizes, tmp_path):
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    for name, package, size in (("torch", "torch", 3_000_000), ("other", "other", 2_000_000)):
        (site / package).mkdir(parents=True)
        (site / package / "data.bin").write_bytes(bytes(size))
        (site / package / "code.pyc").write_bytes(bytes(size))
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{package}/data.bin,,\n")
    assert sizes.sizes(tmp_path) == {"packages": 1, "mb": 5, "torch_mb": 3}


def test_a_refusal_is_told_in_the_table(sizes):
    record = {
        "python": "3.11.7",
        "torch": "2.13.0+cpu",
        "sizes": {
            "core": {"packages": 9, "mb": 100, "torch_mb": 60, "commands": {}},
            "odd": {"packages": 10, "mb": 97, "torch_mb": 60, "constraints": "odd wants pillow<13"},
        },
    }
    table = sizes.rows(record)
    assert "| `odd` (1) | 10 | 97 | 60 | −3 |" in table
    assert "(1) `odd` does not install under `constraints.txt`: odd wants pillow<13. It does without them." in table
