"""Judges the demo's vectors and feature tables by the sample catalogue's labels, beside TF-IDF or BM25 on the same rows."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from m5model.bundles.find import list_bundles
from m5model.data.label_sets import open_label_set
from m5model.data.set_versions import find_label_set
from m5model.runtime.rendering import Rendering, render
from m5model.sample_catalogue.evaluation import (
    Comparison,
    Judgements,
    LabelledPairs,
    compare_pairs,
    compare_rows,
    interval_of_ratios,
    ndcg_of_each,
)
from m5model.sample_catalogue.rivals import TfIdf, bm25_scores
from m5model.toolkit import load
from schemas.bundle import BundleManifest
from schemas.features import FOLDER
from schemas.workspace import Workspace
from spark.features.recipes.attributes import SAME_DISTANCE, AttributeSettings
from spark.features.recipes.brands import BrandSettings

FIELDS = ("title", "brand", "category", "attributes", "bullets", "description")
# The rivals are held to the rules of the views.
ATTRIBUTES, BRANDS = AttributeSettings(), BrandSettings()
Key = tuple[str, str]
DEMO_PAIRS = "demo-duplicates"  # the label set that the demo makes of the sample's duplicates
DEMO_QUERIES = "demo-queries"  # and of its queries


@dataclass(frozen=True)
class Judged:
    """The demo's listings, vectors and labels, by row. Shape suffixes: N listings, D dimensions."""

    workspace: Workspace
    labels: Path
    student: BundleManifest

    @cached_property
    def listings(self) -> list[dict[str, Any]]:
        rows = DeltaTable(self.workspace.table("listings")).to_pyarrow_table(columns=["locale", "item_id", "language", *FIELDS])
        return [{**row, "attributes": dict(row["attributes"] or [])} for row in rows.to_pylist()]

    @cached_property
    def row_of(self) -> dict[Key, int]:
        return {(row["locale"], row["item_id"]): number for number, row in enumerate(self.listings)}

    @cached_property
    def texts(self) -> list[str]:
        """Texts as the encoder reads them, without the prefix that only it needs."""
        rendering = Rendering.from_json({**self.student.rendering, "prefix": ""})
        return [render(row, rendering) for row in self.listings]

    @cached_property
    def vectors_ND(self) -> np.ndarray:
        table = DeltaTable(self.workspace.table("embeddings")).to_pyarrow_table(
            columns=["locale", "item_id", "vector", "space_id"]
        )
        table = table.filter(pc.equal(table["space_id"], self.student.space_id))
        flat = np.asarray(table["vector"].combine_chunks().flatten(), np.float32).reshape(len(table), -1)
        rows = [self.row_of[key] for key in zip(table["locale"].to_pylist(), table["item_id"].to_pylist(), strict=True)]
        vectors_ND = np.zeros((len(self.listings), flat.shape[1]), np.float32)
        vectors_ND[rows] = flat
        return vectors_ND

    @cached_property
    def words(self) -> TfIdf:
        return TfIdf.of(self.texts, "words")

    @cached_property
    def pieces(self) -> TfIdf:
        return TfIdf.of(self.texts, "pieces")

    @cached_property
    def items_N(self) -> np.ndarray:
        """The item that each listing is an offer of."""
        items_N = np.full(len(self.listings), -1)
        for row in self.read("items"):
            items_N[self.row_of[row["locale"], row["item_id"]]] = row["item"]
        return items_N

    def read(self, name: str) -> list[dict[str, Any]]:
        """The rows of a label table that are about listings in the catalogue."""
        rows: list[dict[str, Any]] = pq.read_table(self.labels / f"{name}.parquet").to_pylist()
        return [row for row in rows if "item_id" not in row or (row["locale"], row["item_id"]) in self.row_of]

    def view(self, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows of a feature table with the row of their listing."""
        for row in DeltaTable(self.workspace.table(f"{FOLDER}/{name}")).to_pyarrow_table().to_pylist():
            yield self.row_of[row["locale"], row["item_id"]], row


def judge_demo(workspace: Workspace, labels: Path) -> list[Comparison]:
    """All comparisons, of the newest student. ``labels`` is the folder that the sample catalogue wrote."""
    student = [manifest for manifest in list_bundles(workspace) if manifest.kind == "student"][-1]
    judged = Judged(workspace, labels, student)
    return [_judge_duplicates(judged), _judge_brands(judged), *_judge_search(judged), _judge_attributes(judged)]


def _judge_duplicates(judged: Judged) -> Comparison:
    rows = [row for row in judged.read("duplicates") if (row["locale"], row["other_item_id"]) in judged.row_of]
    left = np.asarray([judged.row_of[row["locale"], row["item_id"]] for row in rows])
    right = np.asarray([judged.row_of[row["locale"], row["other_item_id"]] for row in rows])
    pairs = LabelledPairs(
        left_P=left,
        right_P=right,
        is_match_P=np.asarray([bool(row["label"]) for row in rows]),
        entity_P=judged.items_N[left],
        is_test_P=_is_test(judged.workspace, rows),
    )
    ours = (judged.vectors_ND[left] * judged.vectors_ND[right]).sum(axis=1)
    rivals = {"TF-IDF of words": judged.words.cosines(left, right), "TF-IDF of pieces": judged.pieces.cosines(left, right)}
    return compare_pairs(pairs, ours, rivals)


def _is_test(workspace: Workspace, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Is each pair (n,) in the split test of the label set that the demo learned from? Its splits are by product."""
    labels = open_label_set(find_label_set(workspace, DEMO_PAIRS)).splits["test"]
    sides = [zip(labels[f"{side}_locale"][:], labels[f"{side}_item_id"][:], strict=True) for side in ("left", "right")]
    tested = {frozenset(pair) for pair in zip(*sides, strict=True)}
    keys = [((row["locale"], row["item_id"]), (row["locale"], row["other_item_id"])) for row in rows]
    return np.asarray([frozenset(pair) in tested for pair in keys])


def _judge_brands(judged: Judged) -> Comparison:
    """Is the nearest brand the declared one? A brand's centroid is taken without the listing itself."""
    declared = [" ".join((row["brand"] or "").lower().split()) for row in judged.listings]
    names = sorted(name for name, count in Counter(declared).items() if name and count >= BRANDS.min_listings)
    place = {name: number for number, name in enumerate(names)}
    brand_N = np.asarray([place.get(name, -1) for name in declared])
    ours_N = np.zeros(len(brand_N), bool)
    for row, values in judged.view("brands"):
        ours_N[row] = " ".join(values["nearest_brand"].lower().split()) == declared[row]
    rows = np.flatnonzero(brand_N >= 0)
    rivals = {
        f"TF-IDF of {unit}": (tfidf.nearest_group(brand_N, len(names)) == brand_N)[rows].astype(float)
        for unit, tfidf in (("words", judged.words), ("pieces", judged.pieces))
    }
    return compare_rows("brands", "accuracy", ours_N[rows], rivals, judged.items_N[rows])


def _judge_search(judged: Judged) -> Iterator[Comparison]:
    """Judges queries of the split test on the listings of their locale, and on those of all other languages.

    There the same item is what counts. Nobody learned from the item that a query asks for, nor from its words.
    """
    relevance: dict[str, dict[int, float]] = defaultdict(dict)
    items: dict[str, int] = {}
    rows = judged.read("relevance")
    learned = {row["query"].casefold() for row in rows if row["split"] != "test"}
    for row in rows:
        listing = judged.row_of[row["locale"], row["item_id"]]
        relevance[row["query_id"]][listing] = row["gain"]
        if row["split"] == "test" and row["query"].casefold() not in learned and row["grade"] == "exact":
            items.setdefault(row["query_id"], int(judged.items_N[listing]))
    queries = [row for row in judged.read("queries") if row["query_id"] in items]
    locale_N = np.asarray([row["locale"] for row in judged.listings])
    language_N = np.asarray([row["language"] for row in judged.listings])
    in_locale = Judgements(
        queries=[row["query"] for row in queries],
        candidates=[np.flatnonzero(locale_N == row["locale"]) for row in queries],
        gains=[relevance[row["query_id"]] for row in queries],
    )
    yield _compare_search(judged, in_locale, "search")
    foreign = [np.flatnonzero(language_N != row["language"]) for row in queries]
    same = [
        {int(n): 1.0 for n in rows[judged.items_N[rows] == items[row["query_id"]]]}
        for row, rows in zip(queries, foreign, strict=True)
    ]
    there = [number for number, gains in enumerate(same) if gains]
    across = Judgements(
        queries=[in_locale.queries[number] for number in there],
        candidates=[foreign[number] for number in there],
        gains=[same[number] for number in there],
    )
    yield _compare_search(judged, across, "search across languages")


def _compare_search(judged: Judged, judgements: Judgements, task: str) -> Comparison:
    queries = list(judgements.queries)
    query_vectors = load(judged.workspace.bundle(judged.student.id), threads=2).encode(queries)
    rivals = {"BM25": bm25_scores(judged.texts, queries), "TF-IDF of pieces": judged.pieces.scores(queries)}
    ours = ndcg_of_each(judgements, lambda query, rows: judged.vectors_ND[rows] @ query_vectors[query])
    theirs = {name: ndcg_of_each(judgements, lambda query, rows, s=scores: s[query, rows]) for name, scores in rivals.items()}  # type: ignore[misc]
    return compare_rows(task, "nDCG@10", ours, theirs, np.arange(len(queries)))


def _judge_attributes(judged: Judged) -> Comparison:
    """Values that a listing withholds, as its neighbours vote: F1 of all votes against all that is withheld."""
    truth = {
        (judged.row_of[row["locale"], row["item_id"]], row["attribute"]): row["value"] for row in judged.read("attributes")
    }
    declared = {(row, name) for row, listing in enumerate(judged.listings) for name in listing["attributes"]}
    withheld = truth.keys() - declared
    ours = {(row, values["attribute"]): values["value"] for row, values in judged.view("attributes")}
    rivals = {"TF-IDF of words": _vote(judged, judged.words), "TF-IDF of pieces": _vote(judged, judged.pieces)}
    counts = {voter: _count_votes(judged, votes, truth, withheld) for voter, votes in {"": ours, **rivals}.items()}
    name = max(rivals, key=lambda rival: _f1(counts[rival]))
    low, high = interval_of_ratios(np.hstack([counts[""], counts[name]]), judged.items_N)
    return Comparison(
        task="attributes",
        metric="F1",
        ours=_f1(counts[""]),
        theirs=_f1(counts[name]),
        rival=name,
        low=low,
        high=high,
        rows=len(withheld),
        beside={
            f"{measure} of {voter}": _right(votes, truth) / max(1, among)
            for voter, votes in (("ours", ours), ("the rival", rivals[name]))
            for measure, among in (("precision", len(votes)), ("recall", len(withheld)))
        },
    )


def _vote(judged: Judged, tfidf: TfIdf) -> dict[tuple[int, str], str]:
    """Values by the votes of TF-IDF's neighbours in the listing's locale, under the rules of features/attributes."""
    locales = np.asarray([row["locale"] for row in judged.listings])
    elected: dict[tuple[int, str], str] = {}
    for locale in np.unique(locales):
        rows = np.flatnonzero(locales == locale)
        for row, near, cosines in zip(rows, *tfidf.neighbours(rows, ATTRIBUTES.neighbours), strict=True):
            votes: dict[str, Counter[str]] = defaultdict(Counter)
            voters: Counter[str] = Counter()
            distances = 1 + SAME_DISTANCE - np.asarray(cosines, float)
            weights = (distances.min() / distances) ** 2
            for neighbour, weight in zip(rows[near], weights, strict=True):
                for name, value in judged.listings[neighbour]["attributes"].items():
                    votes[name][value] += float(weight)  # type: ignore[assignment]
                    voters[name] += 1
            for name in votes.keys() - judged.listings[row]["attributes"].keys():
                value, weight = max(votes[name].items(), key=lambda entry: (entry[1], entry[0]))
                if voters[name] >= ATTRIBUTES.min_votes and weight >= ATTRIBUTES.min_confidence * weights.sum():
                    elected[int(row), name] = value
    return elected


def _right(votes: Mapping[tuple[int, str], str], truth: Mapping[tuple[int, str], str]) -> int:
    return sum(truth.get(key) == value for key, value in votes.items())


def _count_votes(
    judged: Judged,
    votes: Mapping[tuple[int, str], str],
    truth: Mapping[tuple[int, str], str],
    withheld: Set[tuple[int, str]],
) -> np.ndarray:
    """Of every listing (n, 2): twice its right votes; its votes and its withheld values. The ratio of their sums is F1."""
    counts = np.zeros((len(judged.listings), 2))
    for (row, name), value in votes.items():
        counts[row] += (2 * (truth.get((row, name)) == value), 1)
    for row, _ in withheld:
        counts[row, 1] += 1
    return counts


def _f1(counts: np.ndarray) -> float:
    right, every = counts.sum(axis=0)
    return float(right / max(1, every))
