"""Builds rows of the view of duplicates for few listings, in the driver: those that spark.features.recipes.duplicates gives.

Shape suffixes: P pairs, D dimensions.
"""

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark.delta.data_rows import join_keys
from spark.features.recipe import FewInputs
from spark.vectors.columns import Vectors, vectors_from_arrow
from spark.vectors.top_k import MICRO

PAIR = ["locale", "item_id", "other_item_id"]
MILLIONTH = Decimal("0.000001")


def pair_in_driver(inputs: FewInputs, threshold: float, neighbours: int) -> pa.Table:
    """Locale, item_id, other_item_id, cosine, same_text, probability (null), space_id."""
    both = pa.concat_tables(
        [_pair_neighbours(inputs.require_neighbours(), threshold, neighbours), _pair_texts(inputs.catalogue)]
    )
    pairs = both.group_by(PAIR).aggregate([("cosine", "max")]).rename_columns([*PAIR, "cosine"])
    keys, hashes = join_keys(inputs.catalogue), inputs.catalogue["text_hash"]
    places = [pc.index_in(join_keys(pairs, ("locale", name)), keys) for name in PAIR[1:]]
    known = pc.and_(places[0].is_valid(), places[1].is_valid())
    hash_own, hash_other = (hashes.take(place.filter(known)) for place in places)
    rows = pairs.filter(known)
    columns = {
        "cosine": rows["cosine"].cast(pa.float32(), safe=False),
        "same_text": pc.equal(hash_own, hash_other),
        "probability": pa.nulls(len(rows), pa.float32()),
        "space_id": pa.repeat(inputs.space_id, len(rows)),
    }
    return pa.table({name: rows[name] for name in PAIR} | columns)


def _pair_neighbours(neighbours: pa.Table, threshold: float, most: int) -> pa.Table:
    cosine = -neighbours["distance"].to_numpy() / MICRO
    is_near = (cosine >= threshold) & (neighbours["rank"].to_numpy() <= most)
    near = neighbours.filter(pa.array(is_near))
    own, other = near["item_id"], near["neighbour_item_id"]
    is_first = pc.less(own, other)
    ids = pc.if_else(is_first, own, other), pc.if_else(is_first, other, own)
    return pa.table([near["locale"], *ids, pa.array(cosine[is_near])], names=[*PAIR, "cosine"])


def _pair_texts(catalogue: pa.Table) -> pa.Table:
    """Every listing with the smallest id among those of its text in its locale."""
    texts = join_keys(catalogue, ("locale", "text_hash"))
    rows = catalogue.append_column("text", texts).filter(texts.is_valid())
    rows = rows.sort_by([("text", "ascending"), ("item_id", "ascending")])
    text_N = pc.dictionary_encode(rows["text"].combine_chunks()).indices.to_numpy()
    _, first_T = np.unique(text_N, return_index=True)
    first_N = first_T[text_N]
    others = np.flatnonzero(first_N != np.arange(len(first_N)))
    sides = [rows.take(pa.array(places)) for places in (first_N[others], others)]
    first_PD, other_PD = (vectors_from_arrow(side["vector"].combine_chunks()) for side in sides)
    ids = [side["item_id"] for side in sides]
    return pa.table([sides[0]["locale"], *ids, pa.array(_cosines(first_PD, other_PD), pa.float64())], names=[*PAIR, "cosine"])


def _cosines(first_PD: Vectors, other_PD: Vectors) -> list[float]:
    """Added up one dimension after the other, and rounded to six decimals, as ``cosine_of`` does."""
    total_P = np.zeros(len(first_PD))
    for dimension in range(first_PD.shape[1]):
        total_P += first_PD[:, dimension].astype(np.float64) * other_PD[:, dimension]
    return [min(1.0, float(Decimal(repr(total)).quantize(MILLIONTH, ROUND_HALF_UP))) for total in total_P.tolist()]
