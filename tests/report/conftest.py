"""One small study on disk for all tests of the report, and a browser to look at it with."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from report_store import interrupted, study

from spurious.report import Material, render

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Three arms, two models, three seeds, all done."""
    return study(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def partial(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Material:
    """The same with one run owed and one failed."""
    return interrupted(tmp_path_factory.mktemp("partial"), material)


@pytest.fixture(scope="session")
def page(partial: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on the interrupted study."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(partial), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A headless Chromium, if this machine has one."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium or Chrome on this machine")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield running
        running.close()
