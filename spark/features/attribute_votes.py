"""Builds rows of the view of attributes for few listings, in the driver: those that spark.features.recipes.attributes gives.

A plan of Spark for it takes longer to make than this takes for some ten thousand listings. Texts are numbered in the order of
their bytes, so that numbers compare as the texts do. Shape suffixes: D declared attributes, P pairs of a listing and a voter,
V votes, G listings and names that are voted on.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark.delta.data_rows import find_places, join_keys
from spark.delta.differing import list_entries
from spark.features.attribute_names import fold_name
from spark.features.recipe import FewInputs
from spark.features.small_frames import small_frames
from spark.vectors.top_k import MICRO

Whole = NDArray[np.int64]
Numbers = NDArray[np.float64]
OWN, OTHER = ("locale", "item_id"), ("locale", "neighbour_item_id")


@dataclass(frozen=True, kw_only=True)
class Voting:
    """Says who votes, and which elections count."""

    neighbours: int
    min_cosine: float
    min_votes: int
    min_confidence: float
    same_distance: float  # added to all distances


@dataclass(frozen=True, kw_only=True)
class _Texts:
    number: Whole  # of each text
    texts: pa.Array  # by number


@dataclass(frozen=True, kw_only=True)
class _Declared:
    """Attributes of listings of the catalogue, in the order of the listing and the name; no listing has a name twice."""

    listing_D: Whole  # row of the catalogue
    name_D: Whole
    key_D: Whole
    value_D: Whole
    names: int
    keys: pa.Array  # names of attributes as they are spelled
    values: pa.Array

    @property
    def pair_D(self) -> Whole:
        return self.listing_D * self.names + self.name_D


@dataclass(frozen=True, kw_only=True)
class _Votes:
    owner_V: Whole
    name_V: Whole
    key_V: Whole
    value_V: Whole
    weight_V: Whole

    def of(self, wanted: NDArray[np.bool_]) -> "_Votes":
        return _Votes(**{name: column[wanted] for name, column in vars(self).items()})


def vote_in_driver(inputs: FewInputs, voting: Voting) -> pa.Table:
    """Locale, item_id, attribute, value, confidence, votes, space_id."""
    declared = _list_declared(inputs.spark, inputs.catalogue)
    neighbours = inputs.require_neighbours()
    cosine = -neighbours["distance"].to_numpy() / MICRO
    near = (cosine >= voting.min_cosine) & (neighbours["rank"].to_numpy() <= voting.neighbours)
    pairs = neighbours.filter(pa.array(near))
    owners = pc.dictionary_encode(join_keys(pairs, OWN))
    owner_P = owners.indices.to_numpy()
    weight_P = _weigh(1 + voting.same_distance - cosine[near], owner_P)
    every_O = np.bincount(owner_P, weights=weight_P, minlength=len(owners.dictionary)).astype(np.int64)
    catalogue = join_keys(inputs.catalogue)
    votes = _collect(declared, owner_P, weight_P, find_places(join_keys(pairs, OTHER), catalogue))
    listing_V = find_places(owners.dictionary, catalogue)[votes.owner_V]
    has_own_V = np.isin(listing_V * declared.names + votes.name_V, declared.pair_D) & (listing_V >= 0)
    first = pa.array(np.unique(owner_P, return_index=True)[1])
    return _elect(votes.of(~has_own_V), declared, every_O, pairs.select(list(OWN)).take(first), voting, inputs.space_id)


def _list_declared(spark: SparkSession, catalogue: pa.Table) -> _Declared:
    listing_E, entries = list_entries(catalogue["attributes"].combine_chunks())
    keys, values = entries.field("key"), entries.field("value")
    is_filled = pc.fill_null(pc.greater(pc.utf8_length(values), 0), False)
    keys, values = (_number(side.filter(is_filled)) for side in (keys, values))
    listing_E = listing_E[is_filled.to_numpy(zero_copy_only=False)]
    names = _number(_fold(spark, keys.texts))
    name_E = names.number[keys.number]
    order = np.lexsort((values.number, keys.number, listing_E))
    _, first = np.unique(listing_E[order] * max(1, len(names.texts)) + name_E[order], return_index=True)
    kept = order[first]
    return _Declared(
        listing_D=listing_E[kept],
        name_D=name_E[kept],
        key_D=keys.number[kept],
        value_D=values.number[kept],
        names=max(1, len(names.texts)),
        keys=keys.texts,
        values=values.texts,
    )


def _fold(spark: SparkSession, names: pa.Array) -> pa.Array:
    """By Spark, whose lower case is that of the view; names are few."""
    if not len(names):
        return names
    numbered = pa.table({"number": pa.array(range(len(names)), pa.int32()), "name": names})
    frame = small_frames(spark, len(names)).of(numbered)
    folded = frame.select("number", fold_name(F.col("name")).alias("name")).toArrow()
    return folded.sort_by("number")["name"].combine_chunks()


def _number(texts: pa.Array) -> _Texts:
    encoded = pc.dictionary_encode(texts)
    order = pc.sort_indices(encoded.dictionary)
    number = np.zeros(len(order), np.int64)
    number[order.to_numpy()] = np.arange(len(order))
    return _Texts(number=number[encoded.indices.to_numpy()], texts=encoded.dictionary.take(order))


def _weigh(distance_P: Numbers, owner_P: Whole) -> Whole:
    nearest_O = np.full(owner_P.max(initial=-1) + 1, np.inf)
    np.minimum.at(nearest_O, owner_P, distance_P)
    nearness_P = nearest_O[owner_P] / distance_P
    weight_P = nearness_P * nearness_P * MICRO
    down_P = np.floor(weight_P)
    return (down_P + (weight_P - down_P >= 0.5)).astype(np.int64)


def _collect(declared: _Declared, owner_P: Whole, weight_P: Whole, voter_P: Whole) -> _Votes:
    """A vote for each attribute that a voter declares."""
    first, behind = (np.searchsorted(declared.listing_D, voter_P, side) for side in ("left", "right"))
    count_P = behind - first
    pair_V = np.repeat(np.arange(len(owner_P)), count_P)
    entry_V = np.arange(len(pair_V)) - np.repeat(np.cumsum(count_P) - count_P - first, count_P)
    return _Votes(
        owner_V=owner_P[pair_V],
        name_V=declared.name_D[entry_V],
        key_V=declared.key_D[entry_V],
        value_V=declared.value_D[entry_V],
        weight_V=weight_P[pair_V],
    )


def _elect(votes: _Votes, declared: _Declared, every_O: Whole, owners: pa.Table, voting: Voting, space_id: str) -> pa.Table:
    group_V = votes.owner_V * declared.names + votes.name_V
    # The spelling of the nearest voter, of equal ones the first.
    order = np.lexsort((votes.key_V, -votes.weight_V, group_V))
    group_G, first = np.unique(group_V[order], return_index=True)
    key_G, votes_G = votes.key_V[order][first], np.diff(np.append(first, len(order)))
    value_G, weight_G = _heaviest(group_V, votes)
    owner_G = group_G // declared.names
    confidence_G = weight_G / every_O[owner_G]
    trusted = np.flatnonzero((votes_G >= voting.min_votes) & (confidence_G >= voting.min_confidence))
    rows = owners.take(pa.array(owner_G[trusted]))
    columns = {
        "attribute": declared.keys.take(pa.array(key_G[trusted])),
        "value": declared.values.take(pa.array(value_G[trusted])),
        "confidence": pa.array(confidence_G[trusted].astype(np.float32)),
        "votes": pa.array(votes_G[trusted].astype(np.int32)),
        "space_id": pa.repeat(space_id, len(trusted)),
    }
    return pa.table({name: rows[name] for name in OWN} | columns)


def _heaviest(group_V: Whole, votes: _Votes) -> tuple[Whole, Whole]:
    """By group, in ascending order: the value with the largest sum of weights, of equal ones the first; and that sum."""
    order = np.lexsort((votes.value_V, group_V))
    group, value, weight = group_V[order], votes.value_V[order], votes.weight_V[order]
    starts = np.flatnonzero(np.diff(group, prepend=-1) | np.diff(value, prepend=-1))
    sums = np.add.reduceat(weight, starts) if len(starts) else np.zeros(0, np.int64)
    best = np.lexsort((value[starts], -sums, group[starts]))
    _, first = np.unique(group[starts][best], return_index=True)
    return value[starts][best][first], sums[best][first]
