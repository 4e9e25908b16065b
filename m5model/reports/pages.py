"""Opens the templates of pages: no script, no font, no file from elsewhere. Text is escaped: it comes from sellers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from m5model.reports.languages import LANGUAGE_NAMES, direction_of

SHARED = Path(__file__).parent  # holds style.css, which every page includes

OF_ALL_PAGES: dict[str, Callable[..., Any]] = {
    "count": lambda value: f"{value:,}",
    "percent": lambda share, digits=1: f"{share:.{digits}%}",
    "direction": direction_of,
    "language": lambda code: LANGUAGE_NAMES.get(code, code),
}


def open_template(folder: Path, name: str = "page.html.jinja", **filters: Callable[..., Any]) -> Template:
    """A template of the folder; its own filters go before those of all pages. A name that is not given is an error."""
    environment = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(OF_ALL_PAGES | filters)
    return environment.get_template(name)
