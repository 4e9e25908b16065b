"""Describes what a catalogue is made of: the share of each locale, and how long its texts are in tokens.

A profile is a JSON file, see ``profile.json`` beside this file, or is taken from a workspace, for which m5[train] is needed.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.checks import is_number, require
from schemas.errors import ConfigurationError
from schemas.locales import LOCALES, explain_locale
from schemas.report import JsonValue
from schemas.workspace import Workspace

PROFILE_FILE = Path(__file__).with_name("profile.json")
TEXTS_PER_LOCALE = 2_000
# Lengths are counted in steps that grow, so that a profile stays small: nobody's plan depends on 201 tokens not being 208.
_STEPS = ((32, 2), (128, 8), (1 << 20, 16))


@dataclass(frozen=True, kw_only=True)
class LocaleProfile:
    """One locale. Raises ConfigurationError that lists every problem at once."""

    share: float  # of the listings
    lengths: Mapping[int, float]  # tokens of a text → share of the locale's texts

    def __post_init__(self) -> None:
        rules = {
            f"share is {self.share}, expected 0 or more": is_number(self.share, 0),
            "there is no length": bool(self.lengths),
            "a length is below 1 token or has a share below 0": all(
                length >= 1 and is_number(share, 0) for length, share in self.lengths.items()
            ),
            "the shares of lengths add up to 0": sum(self.lengths.values()) > 0,
        }
        require("profile of a locale", rules)

    @property
    def mean_tokens(self) -> float:
        return sum(length * share for length, share in self.lengths.items()) / sum(self.lengths.values())

    def cut(self, max_tokens: int) -> "LocaleProfile":
        """The same texts, truncated; shares of lengths add up to 1."""
        whole, found = sum(self.lengths.values()), Counter[int]()
        for length, share in self.lengths.items():
            found[min(length, max_tokens)] += share / whole  # type: ignore[assignment]
        return LocaleProfile(share=self.share, lengths=dict(sorted(found.items())))


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A catalogue. The shares of its locales add up to 1."""

    source: str
    locales: Mapping[str, LocaleProfile]

    def only(self, codes: Sequence[str]) -> "Profile":
        """These locales alone. Raises ConfigurationError for one that does not exist, or that the profile lacks."""
        _require_locales(codes)
        missing = [code for code in codes if code not in self.locales]
        if missing:
            raise ConfigurationError(
                f"the profile has no {', '.join(missing)}; it has {', '.join(self.locales)}",
                next_step="leave these locales out, or give a --profile that has them",
            )
        return normalized(self.source, {code: self.locales[code] for code in codes})

    def with_shares(self, shares: Mapping[str, float]) -> "Profile":
        """Other shares for some locales; the rest share what is left as before."""
        _require_locales(list(shares))
        unknown = ", ".join(shares.keys() - self.locales.keys())
        left = 1 - sum(shares.values())
        rules = {
            f"shares add up to {1 - left:g}, expected at most 1": left > -1e-9,
            f"the profile has no {unknown}": not unknown,
            "a share is below 0": min(shares.values(), default=0) >= 0,
        }
        require("shares", rules)
        rest = sum(one.share for code, one in self.locales.items() if code not in shares) or 1.0
        changed = {code: shares.get(code, one.share / rest * max(0.0, left)) for code, one in self.locales.items()}
        kept = {code: LocaleProfile(share=changed[code], lengths=one.lengths) for code, one in self.locales.items()}
        return normalized(self.source, kept)

    def as_json(self) -> dict[str, JsonValue]:
        locales: dict[str, JsonValue] = {
            code: {"share": round(one.share, 6), "lengths": {str(n): round(share, 6) for n, share in one.lengths.items()}}
            for code, one in self.locales.items()
        }
        return {"source": self.source, "locales": locales}


def read_profile(path: str | None) -> Profile:
    """The profile of that file, or the one that comes with M5."""
    file = Path(path) if path else PROFILE_FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        locales = {
            str(code): LocaleProfile(share=one["share"], lengths={int(n): share for n, share in one["lengths"].items()})
            for code, one in found["locales"].items()
        }
        source = str(found["source"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"the profile {file} cannot be read: {type(error).__name__} {error}",
            next_step=f"give a JSON file in the form of {PROFILE_FILE.name}, or --workspace",
        ) from error
    _require_locales(list(locales))
    return normalized(source, locales)


def profile_of_workspace(workspace: Workspace) -> Profile:
    """Of the newest training set, in tokens of the newest student. Shares are those of the listings before the draw."""
    from m5model.bundles.find import find_bundle, open_bundle
    from m5model.data.set_versions import find_training_set
    from m5model.data.training_sets import open_training_set
    from m5model.runtime.rendering import Rendering
    from m5model.runtime.tokens import open_tokenizer
    from schemas.bundle import TOKENIZER_FILE

    folder, bundle = open_bundle(find_bundle(workspace, None, "student", "--profile"))
    training_set = open_training_set(find_training_set(workspace, None), Rendering.from_json(bundle.rendering))
    tokenizer = open_tokenizer((folder / TOKENIZER_FILE).read_bytes())
    texts: dict[str, list[str]] = {}
    for locale, text in zip(training_set.learn["locale"], training_set.learn["text"], strict=True):
        texts.setdefault(locale, []).append(text)
    lengths = {code: [len(one.ids) for one in tokenizer.encode_batch(own[:TEXTS_PER_LOCALE])] for code, own in texts.items()}
    manifest = training_set.manifest
    drawn_from = {code: counts.get("rows", 0) for code, counts in manifest.duplicates_by_locale.items()}
    counted = {code: len(own) for code, own in texts.items()}
    rows = next(found for found in (drawn_from, manifest.rows_by_locale, counted) if sum(found.values()))
    return profile_of_lengths(f"training set {manifest.name}/{manifest.version}, tokens of {bundle.id}", lengths, rows)


def profile_of_lengths(source: str, lengths: Mapping[str, Sequence[int]], rows: Mapping[str, float]) -> Profile:
    """From the tokens of some texts of each locale, and how many listings each has."""
    known = {code: own for code, own in sorted(lengths.items()) if own and rows.get(code)}
    return normalized(source, {code: LocaleProfile(share=rows[code], lengths=_histogram(own)) for code, own in known.items()})


def normalized(source: str, locales: Mapping[str, LocaleProfile]) -> Profile:
    whole = sum(one.share for one in locales.values())
    require("profile", {"the shares of its locales add up to 0": whole > 0})
    kept = {code: LocaleProfile(share=one.share / whole, lengths=one.lengths) for code, one in locales.items()}
    return Profile(source=source, locales=kept)


def _histogram(lengths: Iterable[int]) -> dict[int, float]:
    found = Counter(map(_step, lengths))
    whole = sum(found.values())
    return {length: count / whole for length, count in sorted(found.items())}


def _step(length: int) -> int:
    step = next(step for limit, step in _STEPS if length <= limit)
    return -(-length // step) * step


def _require_locales(codes: Sequence[str]) -> None:
    unknown = [code for code in codes if code not in LOCALES]
    if unknown:
        raise ConfigurationError("; ".join(map(explain_locale, unknown)), next_step=f"give some of {', '.join(LOCALES)}")
