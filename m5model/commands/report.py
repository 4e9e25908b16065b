"""m5 report --out DIR: a static site of the workspace: tables, sets, models, features, quality, a map, and what changed.

No server, no scripts, nothing from elsewhere: open DIR/index.html, or let any web server hand the folder out.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

from schemas.errors import ConfigurationError
from schemas.workspace import Workspace

if TYPE_CHECKING:
    from m5model.reports.site.facts import SiteFacts
    from m5model.reports.site.writing import WrittenSite

SUMMARY = "make a static site of the workspace: tables, sets, models, features, quality, what changed"
NEEDED = ("deltalake", "jinja2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workspace", help="what is shown (default: $M5_WORKSPACE, else ./workspace)")
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder or s3a:// URI of the site; one that is there is replaced"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> None:
    _require_libraries()
    from m5model.reports.site.gather import gather_facts
    from m5model.reports.site.writing import require_own_folder, write_site

    out = arguments.out.rstrip("/")
    require_own_folder(out)
    facts = gather_facts(Workspace.resolve(arguments.workspace))
    found = _describe(facts, write_site(facts, out))
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n" if arguments.json else _as_text(found))


def _require_libraries() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"a site takes {', '.join(missing)}",
            next_step="install the extra: python -m pip install -c constraints.txt -e '.[partners]'",
        )


def _describe(facts: "SiteFacts", site: "WrittenSite") -> dict[str, object]:
    """Returns what is said of a site. Lateness is by the clock, which the pages have none of."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "site": site.index,
        "files": site.files,
        "bytes": site.bytes,
        "changes": None if site.memory.before is None else len(site.memory.changes),
        "late": {view.name: view.due for view in facts.views if view.due and view.due < now},
        "not_readable": {f"{one.page}: {one.what}": one.message for one in facts.broken},
    }


def _as_text(found: dict[str, object]) -> str:
    is_first = found["changes"] is None
    changes = "the first one here" if is_first else f"{found['changes']} changes since the site before"
    lines = [f"site: {found['site']} ({found['files']} files, {int(str(found['bytes'])) / 1e3:,.0f} kB; {changes})"]
    lines += [f"late: features/{name} was due {due}" for name, due in dict(found["late"]).items()]  # type: ignore[call-overload]
    lines += [f"not readable: {what}: {why}" for what, why in dict(found["not_readable"]).items()]  # type: ignore[call-overload]
    return "\n".join(lines) + "\n"
