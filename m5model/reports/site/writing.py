"""Writes a site in one step: a reader finds the old pages or the new ones."""

import glob
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from m5model.files import storage
from m5model.files.exchange import replace_folder
from m5model.files.manifests import from_json
from m5model.reports.site.attempts import Attempts
from m5model.reports.site.changes import Memory, remember
from m5model.reports.site.facts import SiteFacts
from m5model.reports.site.pages import render_site
from schemas.errors import ConfigurationError

MEMORY_FILE = "site.json"
INDEX_FILE = "index.html"
PARTIAL = ".partial"
LEFT_OVER_SECONDS = 3_600


@dataclass(frozen=True, kw_only=True)
class WrittenSite:
    """A site that was written."""

    index: str  # the page to open
    files: int
    bytes: int
    memory: Memory


def write_site(facts: SiteFacts, out: str) -> WrittenSite:
    """Render the facts and put the pages into the folder ``out``. Raises ConfigurationError where it holds something else."""
    require_own_folder(out)
    memory = remember(facts, _last(out))
    texts = render_site(facts, memory) | {MEMORY_FILE: memory.to_json()}
    files = {name: text.encode("utf-8", "replace") for name, text in texts.items()}
    if storage.is_remote(out):
        _upload(files, out)
    else:
        _place(files, Path(out))
    size = sum(len(data) for data in files.values())
    return WrittenSite(index=f"{out}/{INDEX_FILE}", files=len(files), bytes=size, memory=memory)


def require_own_folder(out: str) -> None:
    """A folder that holds anything else than a site is never replaced."""
    if storage.exists(f"{out}/{MEMORY_FILE}") or not storage.exists(out):
        return
    if not storage.is_remote(out) and not Path(out).is_dir():
        raise ConfigurationError(f"--out {out} is a file", next_step="name a folder")
    if storage.list_files(out) or storage.list_folders(out):
        raise ConfigurationError(
            f"--out {out} holds files, and no {MEMORY_FILE} of a site", next_step="name an empty folder, or a new one"
        )


def _last(out: str) -> Memory | None:
    """The memory of the site that is there; None where there is none, or none that can be read."""
    where = f"{out}/{MEMORY_FILE}"
    return Attempts().read("index", where, lambda: from_json(Memory, storage.read_bytes(where), where))


def _place(files: Mapping[str, bytes], out: Path) -> None:
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    _clear_left_over(out)
    with tempfile.TemporaryDirectory(
        prefix=f".{out.name}.", suffix=PARTIAL, dir=out.parent, ignore_cleanup_errors=True
    ) as scratch:
        finished = Path(scratch) / out.name
        finished.mkdir()
        for name, data in files.items():
            (finished / name).write_bytes(data)
        replace_folder(finished, out)


def _clear_left_over(out: Path) -> None:
    """Delete what killed runs left beside the site. A run that is on its way takes seconds, and its folder is young."""
    before = time.time() - LEFT_OVER_SECONDS
    for folder in out.parent.glob(f".{glob.escape(out.name)}.*{PARTIAL}"):
        if folder.stat().st_mtime < before:
            shutil.rmtree(folder, ignore_errors=True)


def _upload(files: Mapping[str, bytes], out: str) -> None:
    """S3 has no step for several objects: each page is the old one or the new one, the index comes last."""
    for name in sorted(files, key=lambda name: name == INDEX_FILE):
        kind = "application/json" if name == MEMORY_FILE else "text/html; charset=utf-8"
        storage.write_bytes(f"{out}/{name}", files[name], kind)
