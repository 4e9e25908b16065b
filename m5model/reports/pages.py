"""Opens the templates of pages: one HTML file, no script, no font beside it. Text is escaped: it comes from sellers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

LANGUAGE_NAMES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "ja": "Japanese",
    "nl": "Dutch",
    "pt": "Portuguese",
    "tr": "Turkish",
}


def open_template(folder: Path, **filters: Callable[..., Any]) -> Template:
    """``page.html.jinja`` of the folder, with these filters and ``count``. A name that is not given is an error."""
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(count=lambda value: f"{value:,}", **filters)
    return environment.get_template("page.html.jinja")
