"""Fills rows from the listings that they name: texts, language, and evidence that the partner's file does not bring."""

from collections.abc import Iterable, Mapping
from typing import Any

from m5model.labels.judging import WrongTypeError, coerce
from m5model.labels.reading import Row
from m5model.runtime.rendering import render
from schemas.errors import ConfigurationError
from schemas.listing import LISTING_KEY, LISTINGS
from schemas.locales import LOCALES
from schemas.partner import LANGUAGE, Partner
from schemas.workspace import Workspace

Key = tuple[str, str]  # locale, item id
FIELDS = ("language", "title", "bullets", "description", "brand", "category", "attributes")


def find_listings(workspace: Workspace, keys: Iterable[Key]) -> dict[Key, Mapping[str, Any]]:
    """The listings of these keys as the table is now; keys that it does not have are absent."""
    from deltalake.exceptions import TableNotFoundError

    from m5model.files.delta import open_delta

    wanted = set(keys)
    path = workspace.table(LISTINGS.name)
    try:
        table = open_delta(path)
    except TableNotFoundError as error:
        raise ConfigurationError(
            f"the labels name listings by key, and there is no table {path}",
            next_step="ingest the catalogue with jobs/ingest_catalog.py, or give texts instead of keys",
        ) from error
    filters = [
        ("locale", "in", sorted({locale for locale, _ in wanted})),
        ("item_id", "in", sorted({one for _, one in wanted})),
    ]
    rows = table.to_pyarrow_table(columns=[*LISTING_KEY, *FIELDS], filters=filters).to_pylist()
    return {(row["locale"], row["item_id"]): _shaped(row) for row in rows if (row["locale"], row["item_id"]) in wanted}


def fill_from_listings(row: Row, partner: Partner, listings: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Fill in, in place, texts, language and evidence from the listing of each side; what the row has is left as it is."""
    for side, listing in listings.items():
        if listing is None:
            continue
        row[f"{side}text"] = row[f"{side}text"] or render(listing)
        row[LANGUAGE] = row.get(LANGUAGE) or listing.get("language")
        for column in partner.evidence:
            if column.name.startswith(side) and row.get(column.name) is None:
                row[column.name] = _coerced(_field(listing, column.name.removeprefix(side)), column)
    row[LANGUAGE] = row.get(LANGUAGE) or _language_of(row, partner)


def _language_of(row: Row, partner: Partner) -> str | None:
    """That of the first side's locale, where it has only one."""
    locale = LOCALES.get(row[f"{partner.labels.sides[0]}locale"] or "")
    return locale.languages[0] if locale is not None and len(locale.languages) == 1 else None


def _field(listing: Mapping[str, Any], name: str) -> Any:
    attributes = listing.get("attributes") or []
    own = {entry["name"]: entry["value"] for entry in attributes}
    return listing.get(name) if name in FIELDS and name != "attributes" else own.get(name)


def _coerced(value: Any, column: Any) -> Any:
    """The value in the column's type; None where a seller wrote something else."""
    try:
        return coerce(value, column)
    except WrongTypeError:
        return None


def _shaped(row: dict[str, Any]) -> Mapping[str, Any]:
    """Attributes as a set of labels keeps them: a list of name and value."""
    attributes = sorted(row.get("attributes") or [])
    return row | {"attributes": [{"name": name, "value": value} for name, value in attributes]}
