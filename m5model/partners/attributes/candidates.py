"""Candidate values of a question, each with numbers by which trees tell right ones from wrong ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from m5model.partners.attributes.dictionary import Dictionary, Entry
from m5model.partners.attributes.questions import Question
from m5model.partners.attributes.reading import Place, TaggedText, mean_likelihood
from m5model.partners.attributes.votes import Vote
from m5model.partners.values import normalise_value

VOTED = 2  # values of neighbours that are candidates though the text does not hold them
DICTIONARY_NAMES = (
    "labelled",
    "held",
    "share",
    "labelled_here",
    "held_here",
    "share_here",
    "exact",
    "elsewhere",
    "start",
    "characters",
    "words",
    "is_inside",
    "share_behind",
    "candidates",
    "asked",
    "stated_share",
    "text_characters",
    "attribute",
)
VOTE_NAMES = ("vote", "vote_nearest", "voters", "voters_stated", "vote_behind")
TAG_NAMES = ("tagged", "likelihood", "goes_on", "likelihood_behind")

Read = list[tuple[TaggedText, int]]  # what each tagger says, and its number of the attribute


@dataclass(kw_only=True)
class Candidate:
    """A value, and what proposes it."""

    value: str  # normalised
    entry: Entry | None = None
    place: Place | None = None
    is_tagged: bool = False


@dataclass(frozen=True, kw_only=True)
class Known:
    """Holds what is known of a question beside its text. Votes and taggers are there where the model has them."""

    dictionary: Dictionary
    attribute: int  # the attribute's rank among those that are asked for
    fold: int | None = None
    vote: Vote | None = None
    read: Read = field(default_factory=list)


def input_names(*, has_votes: bool, has_tags: bool) -> tuple[str, ...]:
    return DICTIONARY_NAMES + (VOTE_NAMES if has_votes else ()) + (TAG_NAMES if has_tags else ())


def propose(question: Question, known: Known, *, has_votes: bool, has_tags: bool) -> tuple[list[str], np.ndarray]:
    """Values (k), normalised, and their inputs (k, f) with NaN for what is not known."""
    found = _collect(question, known)
    names = input_names(has_votes=has_votes, has_tags=has_tags)
    if not found:
        return [], np.empty((0, len(names)), np.float32)
    parts = [_dictionary_inputs(question, known, found)]
    parts += [_vote_inputs(known.vote, found)] if has_votes else []
    parts += [_tag_inputs(known.read, found)] if has_tags else []
    return [one.value for one in found], np.concatenate(parts, axis=1).astype(np.float32)


def _collect(question: Question, known: Known) -> list[Candidate]:
    """One candidate a value: its entry that was labelled most often, else the tagged place, else the vote."""
    found: dict[str, Candidate] = {}
    for entry in known.dictionary.look_up(question, known.fold):
        one = found.setdefault(entry.value, Candidate(value=entry.value))
        if one.entry is None or entry.labelled > one.entry.labelled:
            one.entry, one.place = entry, (entry.found.start, entry.found.end)
    for tagged, number in known.read:
        for first, last in tagged.spans(question.text, number):
            value = normalise_value(question.text[first:last], question.language)
            one = found.setdefault(value, Candidate(value=value))
            one.is_tagged, one.place = True, one.place or (first, last)
    votes = known.vote.values if known.vote is not None else {}
    for value in sorted(votes, key=lambda value: (-votes[value], value))[:VOTED]:
        found.setdefault(value, Candidate(value=value))
    return [found[value] for value in sorted(found) if value]


def _dictionary_inputs(question: Question, known: Known, found: Sequence[Candidate]) -> np.ndarray:
    asked, stated = known.dictionary.stated_share(question, known.fold)
    shares = [_share(one.entry.labelled, one.entry.held) if one.entry else np.nan for one in found]
    best = np.nanmax([*shares, 0.0])
    rows = []
    for one, share in zip(found, shares, strict=True):
        entry = one.entry
        counts = (
            (
                entry.labelled,
                entry.held,
                share,
                entry.labelled_here,
                entry.held_here,
                _share(entry.labelled_here, entry.held_here),
            )
            if entry
            else (0, 0, np.nan, 0, 0, np.nan)
        )
        seen = (entry.exact, entry.elsewhere) if entry else (0, 0)
        start = one.place[0] / max(1, len(question.text)) if one.place else np.nan
        shape = (start, len(one.value), one.value.count(" ") + 1, _is_inside(one, found), share - best)
        rows.append((*counts, *seen, *shape, len(found), asked, stated, len(question.text), known.attribute))
    return np.asarray(rows, np.float64)


def _vote_inputs(vote: Vote | None, found: Sequence[Candidate]) -> np.ndarray:
    if vote is None:
        return np.full((len(found), len(VOTE_NAMES)), np.nan)
    best = max(vote.values.values(), default=0.0)
    rows = [
        (share := vote.values.get(one.value, 0.0), vote.nearest.get(one.value, 0.0), vote.asked, vote.stated, share - best)
        for one in found
    ]
    return np.asarray(rows, np.float64)


def _tag_inputs(read: Read, found: Sequence[Candidate]) -> np.ndarray:
    chances = [mean_likelihood(read, one.place) if one.place else (np.nan, np.nan) for one in found]
    best = np.nanmax([*(chance[0] for chance in chances), 0.0])
    rows = [(float(one.is_tagged), chance[0], chance[1], chance[0] - best) for one, chance in zip(found, chances, strict=True)]
    return np.asarray(rows, np.float64)


def _is_inside(one: Candidate, found: Sequence[Candidate]) -> float:
    """Does a longer candidate of the same question cover it?"""
    if one.place is None:
        return float("nan")
    first, last = one.place
    return float(
        any(
            other.place is not None and other.place[0] <= first and last <= other.place[1] and other.place != one.place
            for other in found
        )
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
