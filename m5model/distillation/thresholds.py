"""The thresholds that a student must meet, as a value and as a file.

    [agreement]
    min_correlation = 0.8

    [pairs.languages.ja]              # of one language alone
    max_language_gap = 0.1

A file names the thresholds that it changes; the others keep their defaults. Thresholds are in no recipe, because a threshold
changes no vector.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

import msgspec

from m5model.export.parity import ParityThresholds
from m5model.gates.files import read_thresholds
from schemas.checks import is_number, is_whole, require
from schemas.errors import ConfigurationError
from schemas.locales import LANGUAGES

LANGUAGES_TABLE = "languages"  # of a group: [pairs.languages.ja]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A threshold, and where a gate file sets it: GROUP.NAME."""

    threshold: float | None  # None: stated only
    setting: str


@dataclass(frozen=True, kw_only=True)
class ByLanguage:
    """A group of thresholds, some of which a single language may have of its own."""

    GROUP: ClassVar[str] = ""
    OF_A_LANGUAGE: ClassVar[tuple[str, ...]] = ()  # names that a language may set for itself
    languages: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def limit(self, name: str) -> Limit:
        """The threshold of all texts."""
        return Limit(threshold=getattr(self, name), setting=f"{self.GROUP}.{name}")

    def limit_of(self, language: str, name: str) -> Limit:
        """The language's own threshold, else that of every language."""
        own = self.languages.get(language, {}).get(name)
        setting = f"{self.GROUP}.{LANGUAGES_TABLE}.{language}.{name}"
        return self.limit(name) if own is None else Limit(threshold=own, setting=setting)

    def _language_rules(self) -> dict[str, bool]:
        """Rules of the thresholds that languages set; a group adds its own."""
        known = ", ".join(self.OF_A_LANGUAGE)
        rules = {f"there is no language {code!r}": code in LANGUAGES for code in self.languages}
        for code, values in self.languages.items():
            for name, value in values.items():
                rules[f"[{self.GROUP}.languages.{code}] has no {name}, expected one of {known}"] = name in self.OF_A_LANGUAGE
                rules[f"[{self.GROUP}.languages.{code}] {name} is {value}, expected a number"] = is_number(value)
        return rules


@dataclass(frozen=True, kw_only=True)
class Agreement(ByLanguage):
    """Of the student's int8 vectors with the teachers': Pearson, over pairs of held-out texts, of the similarities."""

    GROUP: ClassVar[str] = "agreement"
    OF_A_LANGUAGE: ClassVar[tuple[str, ...]] = ("min_correlation",)  # in the place of the ratio
    min_correlation: float = 0.8
    # What a language lacks to 1, by what all lack on average. 2: no language loses more than twice as much.
    max_language_ratio: float = 2.0
    # A language that lacks no more than this passes whatever the others lack.
    language_slack: float = 0.05

    def __post_init__(self) -> None:
        require(
            "gate, agreement",
            {
                f"min_correlation is {self.min_correlation}, expected -1 to 1": is_number(self.min_correlation, -1, 1),
                f"max_language_ratio is {self.max_language_ratio}, expected 1 or more": is_number(self.max_language_ratio, 1),
                f"language_slack is {self.language_slack}, expected 0 to 2": is_number(self.language_slack, 0, 2),
                **self._language_rules(),
            },
        )


@dataclass(frozen=True, kw_only=True)
class Pairs(ByLanguage):
    """On labelled pairs of the split test, where a label set is given: what the teacher has more than the int8 student."""

    GROUP: ClassVar[str] = "pairs"
    OF_A_LANGUAGE: ClassVar[tuple[str, ...]] = ("max_language_gap", "max_language_roc_auc_gap", "max_language_recall_gap")
    max_average_precision_gap: float = 0.03
    max_roc_auc_gap: float = 0.02
    max_recall_gap: float = 0.05  # recall at 10 of the matching listing
    # Of a language, where the interval of its gap shows that there is one. The first is of the average precision.
    max_language_gap: float = 0.06
    max_language_roc_auc_gap: float = 0.04
    max_language_recall_gap: float = 0.1

    def __post_init__(self) -> None:
        require("gate, pairs", {**_shares(self), **self._language_rules()})


@dataclass(frozen=True, kw_only=True)
class Attributes(ByLanguage):
    """On labelled attributes of the split test, where a label set is given: what the teacher's vote has more."""

    GROUP: ClassVar[str] = "attributes"
    OF_A_LANGUAGE: ClassVar[tuple[str, ...]] = ("max_language_gap",)
    max_f1_gap: float = 0.03
    max_language_gap: float = 0.06  # of a language, where the interval of its gap shows that there is one

    def __post_init__(self) -> None:
        require("gate, attributes", {**_shares(self), **self._language_rules()})


@dataclass(frozen=True, kw_only=True)
class SameSpaceLimits(ByLanguage):
    """On queries by this student against documents by the bundle that ``--same-space-as`` names: what comparing them loses."""

    GROUP: ClassVar[str] = "same_space"
    OF_A_LANGUAGE: ClassVar[tuple[str, ...]] = ("min_cosine", "max_neighbours_lost", "max_language_recall_gap")
    min_cosine: float = 0.9  # of both vectors of a text, mean
    max_neighbours_lost: float = 0.3  # of the ten documents nearest to a text by the documents' own vectors
    max_recall_gap: float = 0.03  # recall at 10 on --pairs, split test: queries by the documents' bundle minus by this one
    # What a language may have less, or more, than all texts.
    min_language_cosine: float = 0.85
    max_language_neighbours_lost: float = 0.4
    max_language_recall_gap: float = 0.08

    def __post_init__(self) -> None:
        require("gate, same_space", {**_shares(self), **self._language_rules()})

    def of(self, language: str, name: str) -> Limit:
        """The threshold of all texts where no language is named; else the language's own, or that of every language."""
        if not language:
            return self.limit(name)
        own = self.limit_of(language, name)
        bound, _, what = name.partition("_")
        return own if name in self.languages.get(language, {}) else self.limit(f"{bound}_language_{what}")


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Texts of a sample whose bytes may change with the texts that share their call. 0: a vector is a function of its text."""

    max_vectors_differing: int = 0

    def __post_init__(self) -> None:
        known = f"max_vectors_differing is {self.max_vectors_differing}, expected 0 or more"
        require("gate, batches", {known: is_whole(self.max_vectors_differing)})


@dataclass(frozen=True, kw_only=True)
class Cost(ByLanguage):
    """States what a student may take; nothing is refused by default. Milliseconds are of one text, one thread, this machine."""

    GROUP: ClassVar[str] = "cost"
    OF_A_LANGUAGE: ClassVar[tuple[str, ...]] = ("max_truncated_share", "max_token_premium")
    max_int8_mb: float | None = None
    max_ms_at_32_tokens: float | None = None
    max_ms_at_512_tokens: float | None = None
    # How many times as long its teachers take for the same text, in fp32, in the same interleaved run.
    min_times_quicker_at_32_tokens: float | None = None
    min_times_quicker_at_512_tokens: float | None = None
    max_truncated_share: float | None = None  # of the held-out texts of any language
    max_token_premium: float | None = None  # tokens per character of a language, by those of all texts

    def __post_init__(self) -> None:
        rules = {
            f"{name} is {value}, expected 0 or more": value is None or is_number(value, 0)
            for name, value in vars(self).items()
            if name != LANGUAGES_TABLE
        }
        require("gate, cost", {**rules, **self._language_rules()})


@dataclass(frozen=True, kw_only=True)
class StudentGate:
    """All thresholds. Each group is a table of the file."""

    agreement: Agreement = field(default_factory=Agreement)
    pairs: Pairs = field(default_factory=Pairs)
    attributes: Attributes = field(default_factory=Attributes)
    batches: Batches = field(default_factory=Batches)
    same_space: SameSpaceLimits = field(default_factory=SameSpaceLimits)
    cost: Cost = field(default_factory=Cost)
    parity: ParityThresholds = field(default_factory=ParityThresholds)


def read_gate(path: str) -> StudentGate:
    """The thresholds of a TOML file. Raises ConfigurationError for a name that there is not, or a value that makes no sense."""
    values = read_thresholds(path, "m5 distill")
    _refuse_unknown(path, values)
    try:
        return msgspec.convert(values, StudentGate)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}", next_step="change this value") from error


def _refuse_unknown(path: str, values: dict[str, Any]) -> None:
    """msgspec leaves unknown names aside; a misspelt threshold would then guard nothing."""
    groups = {one.name: {each.name for each in fields(one.default_factory())} for one in _groups()}
    rules = {}
    for name, group in values.items():
        known = ", ".join(sorted(groups.get(name, groups)))
        rules[f"there is no [{name}], expected one of {known}"] = name in groups and isinstance(group, dict)
        for key in group if isinstance(group, dict) and name in groups else ():
            rules[f"[{name}] has no {key}, expected one of {known}"] = key in groups[name]
    require(f"gate {path}", rules)


def _shares(group: ByLanguage) -> dict[str, bool]:
    """The rules of a group all of whose own thresholds are shares."""
    values = {name: value for name, value in vars(group).items() if name != LANGUAGES_TABLE}
    return {f"{name} is {value}, expected 0 to 1": is_number(value, 0, 1) for name, value in values.items()}


def _groups() -> list[Any]:
    return [one for one in fields(StudentGate) if is_dataclass(one.default_factory)]
