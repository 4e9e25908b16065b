"""The rows that a model is most wrong about, as texts that people can read."""

from dataclasses import dataclass

import numpy as np

from m5model.partners.data import PartnerData
from m5model.partners.evaluation.answers import NO_ANSWER
from m5model.partners.evaluation.scored import Scored, predicted
from schemas.partner import LANGUAGE

SHOWN = 12
CHARACTERS = 400


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One row: what the model said, what is true, and the texts."""

    said: str
    truth: str
    texts: tuple[str, ...]  # a side each; of relevance the query first
    language: str
    context: str = ""  # the partner's evidence that there is


def worst_mistakes(scored: Scored, data: PartnerData, rows: np.ndarray, shown: int = SHOWN) -> tuple[Mistake, ...]:
    """The rows furthest off, half of them false alarms and half of them misses where there are both."""
    ranked = _rank(scored)
    kind = data.partner.labels
    chosen = data.select(rows[ranked[:shown]])
    languages, sides = chosen.column(LANGUAGE), [chosen.texts(side) for side in kind.sides]
    if scored.query is not None:
        sides = [[str(query) for query in scored.query[ranked[:shown]]], *sides]
    named = ("name",) if kind.name == "attributes" else ()
    evidence = [(name, chosen.column(name)) for name in (*named, *(one.name for one in data.partner.evidence))]
    return tuple(
        Mistake(
            said=_said(scored, row),
            truth=_truth(scored.targets[row]),
            texts=tuple((side[place] or "")[:CHARACTERS] for side in sides),
            language=languages[place] or "",
            context=", ".join(f"{name} {values[place]}" for name, values in evidence if _is_there(values[place])),
        )
        for place, row in enumerate(ranked[:shown])
    )


def _rank(scored: Scored) -> np.ndarray:
    """Rows, the worst first; false alarms and misses take turns."""
    if scored.classes or scored.predictions is not None:
        said, confidence = predicted(scored)
        right = said == scored.targets if scored.right is None else scored.right
        wrong = np.flatnonzero(~right & np.asarray([one is not None for one in said], bool))
        return wrong[np.argsort(-confidence[wrong], kind="stable")]
    centre = scored.threshold if scored.threshold is not None else float(np.median(scored.scores))
    target = scored.targets.astype(np.float64)
    high, low = target >= 0.5, target < 0.5
    misses, alarms = np.flatnonzero(high & (scored.scores < centre)), np.flatnonzero(low & (scored.scores >= centre))
    misses, alarms = misses[np.argsort(scored.scores[misses])], alarms[np.argsort(-scored.scores[alarms])]
    both = min(len(misses), len(alarms))
    turns = np.stack([alarms[:both], misses[:both]], axis=1).ravel()
    return np.concatenate([turns, alarms[both:], misses[both:]]).astype(np.int64)


def _said(scored: Scored, row: int) -> str:
    if scored.classes or scored.predictions is not None:
        said, confidence = predicted(scored.select(np.asarray([row])))
        return f"{said[0]} ({confidence[0]:.3f})"
    return f"{scored.scores[row]:.3f}"


def _truth(target: object) -> str:
    return f"{target:.3g}" if isinstance(target, float) else NO_ANSWER if target is None else str(target)


def _is_there(value: object) -> bool:
    return value is not None and value == value
