"""The site in a real browser: silent, offline, usable by keyboard, readable, whole at any width."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from m5model.reports.site.gather import gather_facts
from m5model.reports.site.pages import PAGES
from m5model.reports.site.writing import write_site
from schemas.workspace import Workspace
from tests.m5model.reports import small_workspace as small

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: it is in m5[dev]")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

# Texts whose contrast with what is behind them is below WCAG's AA: 4.5, or 3 where the text is large.
LOW_CONTRAST = """() => {
  const channel = value => { value /= 255; return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4 };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const read = colour => numbers(colour).length < 4 ? [...numbers(colour), 1] : numbers(colour);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = read(getComputedStyle(at).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const low = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement, style = getComputedStyle(element);
    if (!texts.currentNode.textContent.trim() || !element.getClientRects().length) continue;
    if (element.closest('title') || element.matches('a.skip')) continue;
    const colour = read(element.closest('svg') ? style.fill : style.color);
    const [one, two] = [light(colour), light(behind(element))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), isLarge = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < (isLarge ? 3 : 4.5)) low.push([texts.currentNode.textContent.trim().slice(0, 40), ratio]);
  }
  return low;
}"""

# What a screen reader meets: landmarks, levels of headings in their order, things without a name.
STRUCTURE = """() => {
  const all = names => [...document.querySelectorAll(names)];
  return {
    landmarks: ['header', 'nav', 'main', 'footer'].map(name => all(name).length),
    levels: all('h1, h2, h3, h4').map(each => +each.tagName[1]),
    nameless: all('svg[role=img], [role=region], nav').filter(each => !each.getAttribute('aria-label')).length,
    empty: all('a, summary, h1, h2, h3').filter(each => !each.textContent.trim()).length,
    headless: all('table').filter(each => !each.querySelector('thead th[scope=col]')).length,
    language: document.documentElement.lang,
    title: document.title,
  };
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, write_training_set: Callable[..., Path]) -> Path:
    """A site with something broken, and with changes since the one before."""
    base = tmp_path_factory.mktemp("browser")
    workspace = Workspace(str(base / "workspace"))
    write_training_set(workspace, rows_by_language={"en": 200, "ar": 40}, available_rows_by_language={"en": 500, "ar": 40})
    small.fill(workspace)
    write_site(gather_facts(workspace), str(base / "site"))
    small.write_listings(workspace, small.listing_rows(3, first=60))
    (Path(workspace.bundles) / "damaged").mkdir()
    (Path(workspace.bundles) / "damaged" / "manifest.json").write_text('<img src=x onerror="alert(1)">')
    write_site(gather_facts(workspace), str(base / "site"))
    return base / "site"


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: "Browser", folder: Path) -> Iterator[Callable[..., Any]]:
    """Open a page of the site; in the end, nothing may have been said, asked of the network, or shown as a dialog."""
    contexts: list[Any] = []
    heard: list[str] = []

    def listen(page: "Page") -> None:
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: (heard.append("dialog"), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith(("file://", "data:")) or heard.append(request.url))

    def start(name: str, **settings: Any) -> "Page":
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        listen(page)
        page.goto((folder / f"{name}.html").as_uri())
        return page

    yield start
    for context in contexts:
        context.close()
    assert heard == []


def test_every_page_can_be_found_by_ear_and_read_in_light_and_dark(open_page) -> None:
    page = open_page("index", viewport={"width": 1240, "height": 900})
    for name, title in PAGES.items():
        page.goto(page.url.rpartition("/")[0] + f"/{name}.html")
        found = page.evaluate(STRUCTURE)
        levels = found.pop("levels")
        assert found == {
            "landmarks": [1, 1, 1, 1],
            "nameless": 0,
            "empty": 0,
            "headless": 0,
            "language": "en",
            "title": f"{title} · M5 workspace",
        }, name
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(low <= high + 1 for high, low in zip(levels, levels[1:], strict=False)), (name, levels)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(LOW_CONTRAST) == [], (name, scheme)


def test_the_keyboard_alone_reaches_the_content_and_every_page(open_page) -> None:
    page = open_page("index")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top >= 0"), "it shows while it has the focus"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for title in list(PAGES.values())[1:]:
        page.keyboard.press("Home")
        page.goto(page.url.partition("#")[0])
        for _ in range(2 + list(PAGES.values()).index(title)):
            page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == title
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        page.keyboard.press("Enter")
        page.wait_for_load_state()
        assert page.locator("[aria-current=page]").inner_text() == title
    page.goto(page.url.rpartition("/")[0] + "/models.html")
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details").first.get_attribute("open") is not None


def test_no_page_is_wider_than_a_telephone_and_tables_scroll_by_themselves(open_page) -> None:
    page = open_page("index", viewport={"width": 360, "height": 700})
    for name in PAGES:
        page.goto(page.url.rpartition("/")[0] + f"/{name}.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name


def test_arabic_runs_from_the_right_and_does_not_turn_what_stands_beside_it(open_page) -> None:
    page = open_page("map")
    arabic = page.locator("bdi[lang=ar]").first
    assert arabic.evaluate("each => getComputedStyle(each).direction") == "rtl"
    assert arabic.evaluate("each => getComputedStyle(each).unicodeBidi") == "isolate"
    assert arabic.evaluate("each => getComputedStyle(each.parentElement).direction") == "ltr"


def test_texts_of_sellers_do_nothing_even_where_they_are_read_by_a_browser(open_page) -> None:
    page = open_page("map")
    assert page.title() == "Map · M5 workspace"
    assert small.HOSTILE in page.locator("main").text_content()
    page.goto(page.url.replace("map.html", "index.html"))
    assert "damaged" in page.locator(".broken").inner_text()
    assert page.locator("main img").count() == 0


def test_it_is_whole_without_scripts_and_on_paper(open_page) -> None:
    page = open_page("index", java_script_enabled=False)
    assert page.locator("text=version 1, 63 rows").is_visible()
    page.get_by_role("link", name="Tables").click()
    assert page.locator("h1").inner_text() == "Tables"
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("main").is_visible()
