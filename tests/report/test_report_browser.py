"""The page in a real Chromium, at two widths and in two schemes; skipped where there is none."""

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect

VIEWS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]


@pytest.fixture(scope="module", params=VIEWS, ids=[f"{width}-{scheme}" for width, scheme in VIEWS])
def view(request, browser, page):
    """The page opened from the disk, offline, all figures drawn; whatever is said on the console fails the test."""
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, accept_downloads=True
    )
    opened = context.new_page()
    said: list[str] = []

    def asked(request):
        if not request.url.startswith(("file:", "blob:", "data:")):
            said.append(request.url)

    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", asked)
    opened.goto(page.as_uri())
    expect(opened.locator("[data-figure]:not([data-drawn])")).to_have_count(0, timeout=60_000)
    yield opened
    assert said == []
    context.close()


def start_over(view):
    """Empty the filters, as a reader would."""
    view.evaluate("document.getElementById('filters').reset()")
    view.locator("[name=text]").dispatch_event("input")


def test_every_figure_is_drawn_within_the_page(view):
    sizes = view.evaluate(
        "[...document.querySelectorAll('[data-figure]')].map(e => {"
        "const svg = e.querySelector('.main-svg'); const box = e.getBoundingClientRect();"
        "return [e.dataset.figure, svg ? svg.getBoundingClientRect().width : 0, box.width, "
        "e.querySelectorAll('.scatterlayer .trace, .sankey-link, .barlayer .point').length]})"
    )
    assert len(sizes) >= 30
    for name, drawn, room, marks in sizes:
        assert drawn == pytest.approx(room, abs=2), name
        assert marks > 0, name
    assert view.evaluate("document.documentElement.scrollWidth") <= view.viewport_size["width"]


def test_the_scheme_is_the_readers_and_can_be_switched(view):
    def background():
        return view.evaluate("getComputedStyle(document.body).backgroundColor")

    def plot():
        return view.evaluate("document.querySelector('[data-figure]').dataset.drawn")

    first = plot()
    assert background() == {"light": "rgb(245, 246, 248)", "dark": "rgb(14, 19, 25)"}[first]
    assert first == ("dark" if view.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light")
    view.locator("#scheme").click()
    assert plot() != first
    assert background() == {"light": "rgb(245, 246, 248)", "dark": "rgb(14, 19, 25)"}[plot()]
    view.locator("#scheme").click()
    assert plot() == first


def test_what_a_model_said_is_text_and_inert(view):
    start_over(view)
    view.locator("[name=text]").fill("window.pwned")
    said = view.locator("#cards .said").first
    expect(said).to_contain_text("</script><script>window.pwned = 1</script><img src=x onerror=")
    expect(said).to_contain_text("␀␇␛[31m")
    assert view.evaluate("window.pwned") is None
    assert view.locator("#cards img, #cards script, #cards .said b").count() == 0


def test_completions_are_filtered(view):
    start_over(view)
    shown = view.locator("#shown")
    total = int(shown.inner_text().split(" of ")[1].split()[0])
    view.locator("[name=arm]").select_option("random")
    view.locator("[name=model]").select_option("no-code")
    view.locator("[name=match]").select_option("wrong-up")
    part = int(shown.inner_text().split(" of ")[1].split()[0])
    assert 0 < part < total
    for card in view.locator("#cards article").all():
        text = card.inner_text()
        assert text.startswith("random")
        assert "Paid 1" in text
        assert "Truth: correct" not in text
    view.locator("[name=text]").fill("nothing says this")
    expect(shown).to_have_text("0 of 0 matching completions")


def test_more_completions_are_a_click_away(view):
    start_over(view)
    before = view.locator("#cards article").count()
    view.locator("#more").click()
    assert view.locator("#cards article").count() == 2 * before


def test_data_comes_down_as_csv(view):
    with view.expect_download() as waiting:
        view.locator("[data-csv=effect]").click()
    lines = waiting.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("model,treatment,placebo,outcome,base_mean")
    assert len(lines) == 3
    assert waiting.value.suggested_filename == "effect.csv"


def test_the_keyboard_reaches_and_works_everything(view):
    start_over(view)
    for selector in ("#scheme", ".chip", "[data-csv]", "[data-words]", "[name=text]", "#more", ".said", "summary"):
        focused = view.locator(selector).first
        focused.focus()
        assert view.evaluate(f"document.activeElement === document.querySelector('{selector}')"), selector
    words = view.locator("[data-words]").first
    words.focus()
    view.keyboard.press("Enter")
    assert words.get_attribute("aria-expanded") == "true"
    expect(view.locator("#words-effect")).to_contain_text("ground truth minus random on good-code")
    view.keyboard.press("Enter")
    assert words.get_attribute("aria-expanded") == "false"


def test_an_arm_can_be_hidden_in_all_curves(view):
    def curves():
        return view.evaluate("document.querySelectorAll('#figure-accuracy-good-code .scatterlayer .trace').length")

    everything = curves()
    chip = view.locator('.chip[data-arm="random, no clip"]').first
    chip.focus()
    view.keyboard.press("Space")
    assert chip.get_attribute("aria-pressed") == "false"
    assert curves() < everything
    chip.click()
    assert curves() == everything


def test_it_prints(view):
    assert len(view.pdf(format="A4", print_background=True)) > 100_000
