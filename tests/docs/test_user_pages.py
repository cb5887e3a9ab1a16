"""Every command of the user pages exists, what is cheap is run, and what is shown was printed."""

import contextlib
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import yaml
from docs_pages import (
    DOCS,
    PAGES,
    REWRITE,
    ROOT,
    blocks,
    check,
    commands,
    parsed,
    rendered,
    sandbox,
    text_of,
    told_elsewhere,
)

from spurious.analysis import Differences, Evidence, decide
from spurious.specs import BenchSpec, GrpoSpec, RunSpec, SamplingSpec, TaskSpec
from spurious.study.audit import Conclusion


@pytest.fixture
def here(tmp_path, organism_dir):
    with sandbox(tmp_path, organism_dir) as folder:
        yield folder


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_exists(page, here):
    for block in blocks(page):
        if block.language == "console" and block.mark != "run":
            for command in commands(block.body):
                with told(command):
                    check(command)


def test_the_commands_of_all_other_pages_parse():
    others = list(told_elsewhere())
    assert len(others) > 50
    for arguments in others:
        with told(" ".join(arguments)):
            parsed(arguments)


@pytest.mark.parametrize("page", [page for page in PAGES if "<!-- run -->" in text_of(page)])
def test_what_a_page_shows_is_what_was_printed(page, here):
    assert rendered(page) == text_of(page), REWRITE


@pytest.mark.parametrize("page", PAGES)
def test_code_and_data_of_a_page_are_readable(page):
    for block in blocks(page):
        if block.language == "python" and not block.mark.startswith("from "):
            compile(block.body, page, "exec")
        elif block.language == "yaml":
            yaml.safe_load(block.body)


def test_quoted_code_stands_in_the_package():
    quoted = [block for page in PAGES for block in blocks(page) if block.mark.startswith("from ")]
    assert quoted
    for block in quoted:
        lines = (ROOT / block.mark.removeprefix("from ")).read_text(encoding="utf-8").splitlines()
        n = block.body.count("\n")
        places = (textwrap.dedent("\n".join(lines[i : i + n])) for i in range(len(lines)))
        assert block.body.rstrip("\n") in places, block.body


def test_a_file_is_shown_once():
    titles = [block.title for page in PAGES for block in blocks(page) if block.title]
    assert sorted(set(titles)) == sorted(titles)


def test_the_workflow_s_commands_exist(here):
    workflow = yaml.safe_load((here / "reward.yml").read_text())
    steps = workflow["jobs"]["audit"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    assert len(runs) == 4
    for command in runs:
        with told(command):
            check(command)
    kept, restored = ([s["with"] for s in steps if word in s.get("uses", "")] for word in ("cache/save", "restore"))
    assert kept[0]["path"] == restored[0]["path"] == "runs"
    assert kept[0]["key"].startswith(restored[0]["restore-keys"])


@pytest.mark.parametrize(("gain", "status"), [(0.3, 0), (0.0, 1)])
def test_the_gate_reads_what_an_audit_writes(gain, status, here):
    noise = np.random.default_rng(0).normal(0, 0.01, (5, 20))
    differences = Differences((1, 2, 3, 4, 5), tuple(map(str, range(20))), gain + noise)
    verdict = decide({"one": Evidence(differences, 0.05)})
    (here / "audit.json").write_text(json.dumps(Conclusion(verdict, (), {}).document()))
    done = subprocess.run([sys.executable, "gate.py", "audit.json"], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert done.stdout.splitlines()[0] == verdict.sentences[0]


def test_the_navigation_holds_every_page():
    listed = re.findall(r"\b([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_what_the_reference_names_is_there():
    lines = re.findall(r"^::: ([\w.]+)\n((?: .*\n)*)", text_of("api") + "\n", re.MULTILINE)
    assert len(lines) > 30
    for name, options in lines:
        found = resolved(name)
        members = (yaml.safe_load(options) or {"options": {}})["options"].get("members", [])
        assert [one for one in members if not hasattr(found, one)] == [], name


def resolved(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        parent, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(parent), attribute)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    missing = [name for name in ("mkdocs", "material", "mkdocstrings") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the extra `docs` is not installed (no {missing[0]})")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # the theme's word about its own future
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    reference = (tmp_path / "site" / "api" / "index.html").read_text(encoding="utf-8")
    for spec in (RunSpec, GrpoSpec, SamplingSpec, TaskSpec, BenchSpec):
        for field in spec.model_fields:
            assert f'id="spurious.specs.{spec.__name__}.{field}"' in reference


@contextlib.contextmanager
def told(command):
    """Fail with the command in the message."""
    try:
        yield
    except Exception as error:
        pytest.fail(f"{command}\n{type(error).__name__}: {error}")
