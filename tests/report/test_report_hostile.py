"""A page, its data and its files made of texts that were written to run: nothing does."""

import csv as csv_files
import io
from dataclasses import replace

import polars as pl
import pytest
from report_store import DECLARED

from spurious.report import gather, render

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect

RUNS = "window.pwned=(window.pwned||0)+1"
PAYLOADS = (
    f"<script>{RUNS}</script>",
    f"</script><script>{RUNS}</script>",
    f"<!--<script>{RUNS}</script>-->",
    f"<img src=x onerror={RUNS}>",
    f"<svg onload={RUNS}><script>{RUNS}</script></svg>",
    f"<svg><a xlink:href='javascript:{RUNS}'><text y=20>click</text></a></svg>",
    f'"><iframe srcdoc="<script>parent.{RUNS}</script>">',
    f"<math><mtext><style><img src=x onerror={RUNS}></style></mtext></math>",
    f"<a href=javascript:{RUNS}>click</a>",
    "<style>@import 'https://evil.example/x.css';</style><link rel=stylesheet href=//evil.example>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUNS}'><base href=//evil.example>",
    f"<form action=//evil.example><button autofocus onfocus={RUNS}>x</button></form>",
    f"{{{{ ''.__class__ }}}}{{% raw %}}${{{RUNS}}}`{RUNS}`",
    f"&lt;script&gt;{RUNS}&lt;/script&gt;&#60;script&#62;{RUNS}",
    f"\ufeff<details open ontoggle={RUNS}>",
    f"<audio src=x onerror={RUNS}></audio><video><source onerror={RUNS}></video>",
)
ARM = f"=cmd|'/c calc'!A1 <img src=x onerror={RUNS}></script><script>{RUNS}</script>"
MODEL = f"@model<svg onload={RUNS}>\"'><b>&amp;"


@pytest.fixture(scope="module")
def hostile_page(material, tmp_path_factory):
    """The report on a study whose arm, model, question, problems and completions are all hostile."""
    cells = [
        replace(
            cell,
            arm=ARM if cell.arm == "random" else cell.arm,
            model=MODEL if cell.model == "no-code" else cell.model,
        )
        for cell in material.cells
    ]
    said = " ".join(PAYLOADS)
    declared = replace(
        DECLARED,
        question=said,
        expectation=said,
        text=f"question: {said}",
        command=f"spurious {said}",
        pairs=(("ground truth", ARM),),
    )
    found = gather(declared, cells)
    texts = pl.Series("text", [PAYLOADS[i % len(PAYLOADS)] for i in range(found.completions.height)])
    columns = {name: texts.alias(name) for name in ("text", "prompt", "answer", "extracted", "label", "problem_id")}
    there = [column for name, column in columns.items() if name in found.completions.columns]
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    path.write_text(render(replace(found, completions=found.completions.with_columns(there))), encoding="utf-8")
    return path


@pytest.mark.slow
def test_nothing_in_a_hostile_page_runs(browser, hostile_page):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True, accept_downloads=True)
    context.set_default_timeout(120_000)
    view, said = context.new_page(), []
    view.on("console", lambda message: said.append(message.text))
    view.on("pageerror", lambda error: said.append(str(error)))
    view.on("dialog", lambda dialog: said.append(dialog.message))
    view.on(
        "request",
        lambda request: said.append(request.url) if not request.url.startswith(("file:", "blob:", "data:")) else None,
    )
    view.goto(hostile_page.as_uri())
    expect(view.locator("[data-figure]:not([data-drawn])")).to_have_count(0, timeout=120_000)
    for figure in view.locator("[data-figure]").all()[:2]:
        figure.scroll_into_view_if_needed()
        figure.hover(force=True)
    view.locator("#scheme").click()
    for chip in view.locator(".chip").all()[:3]:
        chip.click()
    view.evaluate("document.getElementById('filters').reset()")
    view.locator("[name=text]").dispatch_event("input")
    while view.locator("#more").is_visible() and view.locator("#cards article").count() < 40:
        view.locator("#more").click()
    for link in view.locator("#cards a, #cards button, .said").all()[:6]:
        link.click(force=True)
    assert view.locator("#cards article").count() > 10
    shown = view.locator("#cards .said").all_inner_texts()
    assert any(f"<script>{RUNS}</script>" in text for text in shown)
    assert view.evaluate("window.pwned") is None
    made = "#cards :is(img, script, iframe, svg, a[href], style, form, audio, video, math, [onclick], [ontoggle])"
    assert view.locator(made).count() == 0
    assert view.locator("iframe, form[action], base, link, meta[http-equiv=refresh], img").count() == 0
    with view.expect_download() as waiting:
        view.locator("[data-csv=effect]").click()
    rows = list(csv_files.reader(io.StringIO(waiting.value.path().read_text(encoding="utf-8"))))
    assert any(cell == f"'{ARM}" for row in rows for cell in row)
    assert not any(cell[:1] in "=@\t\r" for row in rows for cell in row if cell)
    assert said == []
    context.close()
