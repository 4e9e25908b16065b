"""Codes of a record get one spelling: locale, language, time. An id is a key, and stays as the feed has it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from schemas.locales import LANGUAGE_SPELLINGS, LOCALES, find_locale
from spark.ingest.mapping.arrow_columns import Values

MAX_TAG_CHARACTERS = 35  # RFC 5646, 4.4.1


def normalise_codes(columns: dict[str, Values]) -> None:
    """In place. A locale that names its language (``pt-BR``) declares it, where the record does not."""
    if not LOCALES.keys() >= set(columns["locale"]):
        _normalise_locales(columns)
    columns["language"] = _map(columns["language"], normalise_language)
    columns["updated_at"] = [None if text is None else text.strip() or None for text in columns["updated_at"]]
    columns["item_id"] = [None if item_id is None or not item_id.strip() else item_id for item_id in columns["item_id"]]


def _normalise_locales(columns: dict[str, Values]) -> None:
    found = {locale: find_locale(locale) for locale in set(columns["locale"]) if locale is not None}
    tags = [found.get(locale) for locale in columns["locale"]]
    columns["locale"] = [_strip(locale) if tag is None else tag[0] for locale, tag in zip(columns["locale"], tags, strict=True)]
    columns["language"] = [
        tag[1] if tag is not None and not (language and language.strip()) else language
        for language, tag in zip(columns["language"], tags, strict=True)
    ]


def normalise_language(declared: str | None) -> str | None:
    """``de-DE``, ``DE`` and ``deu`` become ``de``; None where nothing is left. A long text is no tag and stays as it is."""
    if declared is None or len(declared) > MAX_TAG_CHARACTERS:
        return declared
    language = declared.partition("-")[0].partition("_")[0].strip().lower() or None
    return language and LANGUAGE_SPELLINGS.get(language, language)


def forget_odd_codes(columns: dict[str, Values], rejected: Mapping[int, Sequence[str]]) -> None:
    """Codes of rejects that cannot be told become None, in place. ``rejected``: position → reasons.

    An odd id may be that of any item. Half of a surrogate pair is in no table.
    """
    for i, reasons in rejected.items():
        if "invalid_item_id" in reasons:
            columns["item_id"][i] = None
        for name in ("locale", "language"):
            if columns[name][i] is not None and not _is_whole(columns[name][i]):
                columns[name][i] = None


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _strip(text: str | None) -> str | None:
    return None if text is None else text.strip() or None


def _map(values: Values, change: Callable[[Any], Any]) -> list[Any]:
    changed = {value: change(value) for value in set(values)}
    return [changed[value] for value in values]
