"""Mappings as TOML files: the ready ones beside this file, and a user's own.

title = "our shop's export"
recognised_by = ["Artikelnummer", "Bezeichnung"]    # for `m5 feed inspect`
keep_unknown = true                                 # other columns become attributes
pairs = ["properties"]                              # lists of objects with name and value become attributes
numbered_pairs = [["Option{n} Name", "Option{n} Value"]]

[fields]                                            # of a listing
item_id = "Artikelnummer"
title = { join = ["Bezeichnung", "Zusatz"], between = ", " }
bullets = { each = ["Vorteil 1", "Vorteil 2"] }     # or { first_of = ["Vorteile"], split = "|" }
description = { first_of = ["Langtext", "Kurztext"], html = true }
locale = { first_of = ["Land"], lookup = { Deutschland = "DE" } }
language = { constant = "de" }

[attributes]
Gewicht = { first_of = ["Gewicht"], unit = "g" }
"""

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from m5model.feeds.mapping import ATTRIBUTES, FeedMapping, Rule
from m5model.files import storage
from schemas.checks import require
from schemas.errors import ConfigurationError
from schemas.listing import FEED_FIELDS

READY = Path(__file__).parent / "mappings"
ENDING = ".toml"
_SOURCES = ("first_of", "join", "each")


def ready_names() -> list[str]:
    """The names of the ready mappings."""
    return sorted(file.stem for file in READY.glob(f"*{ENDING}"))


def read_mapping(name: str, constants: dict[str, str] | None = None) -> FeedMapping:
    """A ready mapping by its name, or a user's by its path. ``constants`` are for records that say nothing of these fields.

    Raises ConfigurationError naming, all at once, what is wrong with a file.
    """
    is_ready = name in ready_names()
    path = str(READY / f"{name}{ENDING}") if is_ready else name
    try:
        values = tomllib.loads(storage.read_bytes(path).decode("utf-8-sig"))
    except (FileNotFoundError, IsADirectoryError) as error:
        known = ", ".join(ready_names())
        raise ConfigurationError(
            f"there is no mapping {name!r}", next_step=f"give one of {known}, or the path of a mapping file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {error}", next_step="m5model/feeds/mapping_files.py shows one") from error
    return _convert(Path(path).stem, path, values, constants or {})


def choose_mapping(name: str | None, texts: list[str]) -> FeedMapping | None:
    """The mapping that the flags --mapping and --set ask for; of constants alone where there is no name; None without any."""
    constants = read_constants(texts)
    if name is None:
        return FeedMapping(name="constants", constants=constants) if constants else None
    return read_mapping(name, constants)


def read_constants(texts: list[str]) -> dict[str, str]:
    """``locale=DE`` … as a map. Raises ConfigurationError for what is no field of a listing."""
    parts = [text.partition("=") for text in texts]
    names = sorted(set(FEED_FIELDS) - {ATTRIBUTES, "bullets"})
    wrong = [text for text, (name, sign, _) in zip(texts, parts, strict=True) if not sign or name.strip() not in names]
    require("--set", {f"{text!r} is not FIELD=VALUE of {', '.join(names)}": False for text in wrong})
    return {name.strip(): value.strip() for name, _, value in parts}


def _convert(name: str, path: str, values: dict[str, Any], constants: dict[str, str]) -> FeedMapping:
    known = set(FeedMapping.__dataclass_fields__)
    rules = {
        f"there is no {key}, expected one of {', '.join(sorted(known - {'name', 'constants'}))}": key in known for key in values
    }
    for table in ("fields", "attributes"):
        for key, value in dict(values.get(table, {})).items():
            values[table][key] = _as_rule(value)
            rules |= _check_rule(f"[{table}] {key}", values[table][key])
    for key in values.get("fields", {}):
        of_ours = f"[fields] {key} is no field of a listing, expected one of {', '.join(FEED_FIELDS)}"
        rules[of_ours] = key in FEED_FIELDS and key != ATTRIBUTES
    require(f"mapping {path}", rules)
    try:
        return msgspec.convert({**values, "name": name, "constants": constants}, FeedMapping)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"mapping {path}: {error}", next_step="change this value") from error


def _as_rule(value: Any) -> Any:
    return {"first_of": [value]} if isinstance(value, str) else value


def _check_rule(where: str, rule: Any) -> dict[str, bool]:
    if not isinstance(rule, dict):
        return {f"{where} is {rule!r}, expected the name of a field or a table": False}
    known = set(Rule.__dataclass_fields__)
    given = [source for source in _SOURCES if rule.get(source)]
    return {
        **{f"{where} has no {key}, expected one of {', '.join(sorted(known))}": key in known for key in rule},
        f"{where} has {', '.join(given) or 'no source'}, expected one of {', '.join(_SOURCES)}, or a constant": len(given) == 1
        or (not given and bool(rule.get("constant"))),
    }
