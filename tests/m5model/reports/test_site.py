"""The site of a workspace: what it shows and escapes, what it does with parts that cannot be read, and how it is written."""

import os
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from m5model.cli import main
from m5model.reports.site.gather import gather_facts
from m5model.reports.site.pages import PAGES, SHOWN
from m5model.reports.site.writing import MEMORY_FILE, write_site
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from tests.m5model.features.views import SPACE
from tests.m5model.reports import small_workspace as small

MOST_BYTES = 3_000_000  # of a site, whatever the workspace holds


class Parsed(HTMLParser):
    """Tags, ids, links and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "action", "data", "srcset"):
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        self.text += data


def read_site(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, write_training_set: Callable[..., Path]) -> Workspace:
    """Tests may read it; those that change it take ``copied``."""
    found = Workspace(str(tmp_path_factory.mktemp("site") / "workspace"))
    write_training_set(found, rows_by_language={"en": 200, "ar": 40}, available_rows_by_language={"en": 500, "ar": 40})
    small.fill(found)
    return found


@pytest.fixture(scope="module")
def site(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("out") / "site"
    write_site(gather_facts(workspace), str(out))
    return read_site(out)


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(workspace.root, tmp_path / "workspace")
    return Workspace(str(tmp_path / "workspace"))


def test_every_part_of_the_workspace_has_its_place(site: dict[str, str]) -> None:
    shown = {
        "index": ["The champion is student-tiny-1", "60listings", "3locales", "1feature views"],
        "tables": ["listings", "embeddings", SPACE, small.BUNDLE, "Arabic 100.0%"],
        "sets": ["small/v1", "labels/1", "unknown_listing 3", "83.3%"],
        "models": [
            small.BUNDLE,
            small.TEACHER,
            "small/v1",
            "labels/1",
            "1 fell short: agreement_ar",
            "brands",
            "duplicates/frozen-1",
            "gap_ar",
            "2026-02-18 00:00",
        ],
        "features": ["brands", "brand-classification", "within 24 hours", "no change waits", "Drift of brands", "50.0%"],
        "quality": ["Agreement of similarities", "Arabic", "0.81", "better", "clicks are <simulated>"],
        "map": ["60 vectors", "two largest principal components", "قميص قطني أحمر"],
        "jobs": ["ingest_catalog", "2026-03-01 10:15", "missing_title 6", "<b>slow</b> disk"],
    }
    assert set(shown) == set(PAGES)
    for page, words in shown.items():
        text = Parsed(site[f"{page}.html"]).text
        for word in words:
            assert word in text, (page, word)


def test_texts_of_sellers_stay_texts_and_nothing_is_loaded_from_elsewhere(site: dict[str, str]) -> None:
    assert "&lt;script&gt;" in site["map.html"]
    for name in PAGES:
        page = Parsed(site[f"{name}.html"])
        assert not {"script", "img", "iframe", "object", "embed", "form", "b onload"} & set(page.tags)
        assert page.handlers == []
        assert [link for link in page.links if not re.fullmatch(r"(\w+\.html)?(#.+)?|data:,", link)] == []
        assert not re.search(r"url\(|@import|https?:", site[f"{name}.html"].replace("http-equiv", ""))


def test_every_link_leads_somewhere(site: dict[str, str]) -> None:
    pages = {f"{name}.html": Parsed(site[f"{name}.html"]) for name in PAGES}
    for name, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), name
        for link in page.links:
            target, _, anchor = link.partition("#")
            if link != "data:,":
                there = pages[target or name]
                assert not anchor or anchor in there.ids or unquote(anchor) in there.ids, (name, link)


def test_one_workspace_gives_one_site_however_often_it_is_made(
    workspace: Workspace, site: dict[str, str], tmp_path: Path
) -> None:
    for _ in range(2):
        write_site(gather_facts(workspace), str(tmp_path / "site"))
        assert read_site(tmp_path / "site") == site
    assert [file.name for file in tmp_path.iterdir()] == ["site"], "nothing is left over"


def test_the_next_site_says_what_changed_and_a_repeat_says_it_again(copied: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "site"
    write_site(gather_facts(copied), str(out))
    small.write_listings(copied, small.listing_rows(3, first=60))
    shutil.rmtree(copied.label_set("labels", "1"))
    for _ in range(2):
        written = write_site(gather_facts(copied), str(out))
        changes = {(one.group, one.name): (one.before, one.after) for one in written.memory.changes}
        assert changes == {
            ("tables", "listings"): ("version 0, 60 rows", "version 1, 63 rows"),
            **{("listings of a locale", locale): ("20 rows", "21 rows") for locale in small.LANGUAGES},
            ("label sets", "labels/1"): ("90 rows", None),
        }
        text = Parsed(read_site(out)["index.html"]).text
        assert "version 1, 63 rows" in text
        assert "gone" in text


def test_a_damaged_memory_of_the_last_site_is_as_none(workspace: Workspace, site: dict[str, str], tmp_path: Path) -> None:
    write_site(gather_facts(workspace), str(tmp_path / "site"))
    (tmp_path / "site" / MEMORY_FILE).write_text('{"state": 7}')
    write_site(gather_facts(workspace), str(tmp_path / "site"))
    assert read_site(tmp_path / "site") == site


def _newest_log(workspace: Workspace, table: str) -> Path:
    return max(Path(workspace.table(table), "_delta_log").glob("*.json"))


def _data_file(workspace: Workspace, table: str) -> Path:
    return min(Path(workspace.table(table)).rglob("*.parquet"))


def _write_manifest(folder: str, text: str) -> None:
    Path(folder, "manifest.json").write_text(text)


def _view_log(workspace: Workspace) -> Path:
    return _newest_log(workspace, "features/brands")


# Kind of damage → the page and the part that it shows on, and what does it.
DAMAGE: dict[str, tuple[str, str, Callable[[Workspace], object]]] = {
    "a log that is not JSON": ("tables", "listings", lambda w: _newest_log(w, "listings").write_text("{{{")),
    "an empty log": ("tables", "listings", lambda w: _newest_log(w, "listings").unlink()),
    "a table without its log": ("tables", "listings", lambda w: shutil.rmtree(_newest_log(w, "listings").parent)),
    "an empty commit": ("tables", "embeddings", lambda w: _newest_log(w, "embeddings").write_text("")),
    "listings cut short": ("tables", "languages of the listings", lambda w: _data_file(w, "listings").write_bytes(b"PAR1")),
    "a data file that is gone": ("map", "embeddings", lambda w: _data_file(w, "embeddings").unlink()),
    "a view without its log": ("features", "brands", lambda w: shutil.rmtree(_view_log(w).parent)),
    "a view's log of another form": ("features", "brands", lambda w: _view_log(w).write_text("[1]\n")),
    "a bundle that is not JSON": ("models", small.BUNDLE, lambda w: _write_manifest(w.bundle(small.BUNDLE), "x")),
    "another bundle's manifest": ("models", "copy", lambda w: shutil.copytree(w.bundle(small.BUNDLE), w.bundle("copy"))),
    "a label set of other types": ("sets", "labels/1", lambda w: _write_manifest(w.label_set("labels", "1"), "{}")),
    "a release that is not JSON": ("models", "releases", lambda w: Path(w.release(1)).write_text("{")),
    "evidence that is gone": ("models", "releases", lambda w: Path(w.release_evidence("e1")).unlink()),
    "an experiment that is a list": (
        "quality",
        "duplicates/frozen-1",
        lambda w: _write_manifest(w.experiment("duplicates", "frozen-1"), "[]"),
    ),
    "a report without seconds": (
        "jobs",
        "other-20260301T101600-0123abcd.json",
        lambda w: small.write_report(w, "other", "20260301T101600-0123abcd", seconds=None),
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_cannot_be_read_is_named_and_the_rest_is_shown(copied: Workspace, tmp_path: Path, kind: str) -> None:
    page, what, damage = DAMAGE[kind]
    damage(copied)
    facts = gather_facts(copied)
    assert (page, what) in {(one.page, one.what) for one in facts.broken}
    write_site(facts, str(tmp_path / "site"))
    site = read_site(tmp_path / "site")
    for name in ("index", page):
        assert "Not readable" in Parsed(site[f"{name}.html"]).text
    whole = [one for one in PAGES if one not in {"index", *(one.page for one in facts.broken)}]
    assert whole
    for name in whole:
        assert "Not readable" not in Parsed(site[f"{name}.html"]).text


def test_a_workspace_with_nothing_in_it_has_a_site_that_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    facts = gather_facts(Workspace(str(tmp_path / "workspace")))
    assert facts.broken == []
    write_site(facts, str(tmp_path / "site"))
    site = read_site(tmp_path / "site")
    assert "jobs/ingest_catalog.py" in site["tables.html"]
    assert "jobs/embed_catalog.py" in site["map.html"]


def test_a_folder_that_holds_something_else_is_not_replaced(workspace: Workspace, tmp_path: Path, capsys) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert main(["report", "--workspace", workspace.root, "--out", str(tmp_path)]) == 2
    assert "holds files" in capsys.readouterr().err
    assert main(["report", "--workspace", workspace.root, "--out", str(tmp_path / "thesis.txt")]) == 2
    assert main(["report", "--workspace", workspace.root, "--out", workspace.root]) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_site_that_fails_while_it_is_written_leaves_the_old_one(
    workspace: Workspace, site: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_site(gather_facts(workspace), str(tmp_path / "site"))

    def full(file: Path, data: bytes) -> int:
        if file.name == "quality.html":
            raise OSError(28, "No space left on device")
        return file.open("wb").write(data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_site(replace(gather_facts(workspace), bundles=()), str(tmp_path / "site"))
    assert read_site(tmp_path / "site") == site
    assert [file.name for file in tmp_path.iterdir()] == ["site"]


def test_what_killed_runs_left_goes_with_the_next_one_and_what_others_are_writing_stays(
    workspace: Workspace, tmp_path: Path
) -> None:
    old, young, other = (tmp_path / name for name in (".site.a1.partial", ".site.b2.partial", ".sites.c3.partial"))
    for folder in (old, young, other):
        (folder / "site").mkdir(parents=True)
    for folder in (old, other):
        os.utime(folder, (0, 0))
    write_site(gather_facts(workspace), str(tmp_path / "site"))
    assert sorted(file.name for file in tmp_path.iterdir()) == [".site.b2.partial", ".sites.c3.partial", "site"]


def test_readers_find_a_whole_site_at_any_moment(workspace: Workspace, tmp_path: Path) -> None:
    facts = [gather_facts(workspace), replace(gather_facts(workspace), bundles=())]
    write_site(facts[0], str(tmp_path / "site"))
    is_done, missed = threading.Event(), []

    def read() -> None:
        while not is_done.is_set():
            try:
                (tmp_path / "site" / "models.html").read_bytes()
            except OSError as error:
                missed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(10):
        write_site(facts[turn % 2], str(tmp_path / "site"))
    is_done.set()
    reader.join()
    assert missed == []


def test_a_site_of_very_many_things_stays_light(workspace: Workspace, tmp_path: Path) -> None:
    facts = gather_facts(workspace)
    gate = tuple(small.figure(f"figure_{number}", 0.5) for number in range(400))
    many = replace(
        facts,
        bundles=[small.bundle(id=f"b{number}", parent=None, gate=gate) for number in range(1_500)],
        label_sets=[small.label_set(version=str(number)) for number in range(1_500)],
        training_sets=[replace(facts.training_sets[0], version=f"v{number}") for number in range(1_500)],
        experiments=[small.experiment(id=f"e{number}") for number in range(1_500)],
        views=[replace(facts.views[0], name=f"v{number}") for number in range(1_500)],
        jobs=list(facts.jobs) * 150,
    )
    assert write_site(many, str(tmp_path / "site")).bytes < MOST_BYTES
    assert f"The newest {SHOWN} of 1,500" in (tmp_path / "site" / "sets.html").read_text()


def test_the_command_prints_where_the_site_is_and_what_is_wrong(copied: Workspace, tmp_path: Path, capsys) -> None:
    out = str(tmp_path / "site")
    assert main(["report", "--workspace", copied.root, "--out", f"{out}/"]) == 0
    assert capsys.readouterr().out.startswith(f"site: {out}/index.html (9 files, ")
    Path(copied.bundle(small.BUNDLE), "manifest.json").write_text("{")
    assert main(["report", "--workspace", copied.root, "--out", out]) == 0
    assert f"not readable: models: {small.BUNDLE}: " in capsys.readouterr().out


def test_without_a_workspace_it_ends_with_2_and_makes_nothing(tmp_path: Path, capsys) -> None:
    assert main(["report", "--workspace", str(tmp_path / "none"), "--out", str(tmp_path / "site")]) == 2
    assert "there is no workspace" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_error_before_the_work_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="is a file"):
        write_site(gather_facts(Workspace(str(tmp_path))), str(tmp_path / "file"))
