"""Is a value that was predicted one of the true ones? For labels whose answer is a class or an attribute's value.

A row has no answer where its class was never learned, or where the listing does not state the attribute: then it is right to
abstain.
"""

from dataclasses import dataclass

import numpy as np

from m5model.labels.entities import listing_of
from m5model.partners.data import PartnerData
from m5model.partners.values import normalise_value
from schemas.labels import SPLITS
from schemas.partner import LANGUAGE

KINDS = ("classes", "attributes")
OR = " / "  # between the values of a row that has several
NO_ANSWER = "no answer"  # shown where a row has none


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Holds what is true of rows (k)."""

    accepted: list[frozenset[str]]  # empty where the row has no answer
    weights: np.ndarray  # (k,) float64: rows of one question count as one together

    @property
    def targets(self) -> np.ndarray:
        """(k,) text, None where there is no answer."""
        return np.asarray([OR.join(sorted(values)) or None for values in self.accepted], object)

    @property
    def stated(self) -> np.ndarray:
        """(k,) bool: is there an answer?"""
        return np.asarray([bool(values) for values in self.accepted], bool)

    def is_right(self, predictions: np.ndarray) -> np.ndarray:
        """(k,) bool of the values that are predicted, None where the model abstains."""
        pairs = zip(predictions, self.accepted, strict=True)
        return np.asarray([said is not None and said in values for said, values in pairs], bool)


def read_truth(data: PartnerData, rows: np.ndarray) -> Truth:
    """The values of these rows. A listing that has several values of an attribute, or several classes, accepts each."""
    questions, values = ask(data), true_values(data)
    accepted: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        found = accepted.setdefault(questions[row], set())
        if values[row] is not None:
            found.add(str(values[row]))
    asked: dict[tuple[str, ...], int] = {}
    for row in rows:
        asked[questions[row]] = asked.get(questions[row], 0) + 1
    return Truth(
        accepted=[frozenset(accepted[questions[row]]) for row in rows],
        weights=np.asarray([1 / asked[questions[row]] for row in rows], np.float64),
    )


def ask(data: PartnerData) -> list[tuple[str, ...]]:
    """Returns what each row (n) asks: listing and attribute, or listing and scheme."""
    what = data.column("name" if data.partner.labels.name == "attributes" else "scheme")
    named = zip(*(data.table.column(name).to_pylist() for name in ("locale", "item_id", "text")), strict=True)
    keys = ("locale", "item_id", "text")
    return [
        (listing_of(dict(zip(keys, values, strict=True)), "") if values[1] is None else f"{values[0]}/{values[1]}", str(one))
        for values, one in zip(named, what, strict=True)
    ]


def true_values(data: PartnerData) -> list[str | None]:
    """The value of each row (n), normalised; None where it was never learned, or is not stated."""
    if data.partner.labels.name == "attributes":
        languages = data.column(LANGUAGE)
        values = data.column("value")
        return [normalise_value(value, language) or None for value, language in zip(values, languages, strict=True)]
    labels = data.column("label")
    learned = set(labels[data.rows_of(SPLITS[0])])
    return [str(label) if label in learned else None for label in labels]
