"""A small workspace with something of everything, made without Spark and without a model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from m5model.features.profiles import find_profile
from m5model.features.publications import read_publications
from schemas.bundle import BundleManifest
from schemas.embedding import EMBEDDINGS
from schemas.experiment import Comparison, ExperimentManifest, GroupFigure
from schemas.figure import Figure
from schemas.labels import LabelSetManifest
from schemas.listing import LISTINGS
from schemas.manifests import to_json
from schemas.release import Aliases, ReleaseEvidence, ReleaseRecord, SpaceBundle, Window
from schemas.workspace import Workspace
from tests.m5model.features.views import SPACE, brand_row, publish_view

DIMENSIONS = 8
LANGUAGES = {"US": "en", "SA": "ar", "DE": "de"}
HOSTILE = '<script>document.title="stolen"</script>'
TITLES = {
    "US": ["red cotton shirt", HOSTILE, '"><img src=x onerror=alert(1)> mug', "steel bottle & lid"],
    "SA": ["مصباح مكتب Hammerfjord 30، أخضر", "قميص قطني أحمر", "(حذاء جلدي) 42 EU"],
    "DE": ["Küchenmesser aus Stahl", "Gartenstuhl „Holz“"],
}
START = "20260301T101500-0123abcd"
BUNDLE, TEACHER = "student-tiny-1", "teacher-tiny-1"


def listing_rows(count: int = 60, first: int = 0) -> list[dict[str, Any]]:
    rows = []
    for number in range(first, first + count):
        locale = list(LANGUAGES)[number % 3]
        title = TITLES[locale][number // 3 % len(TITLES[locale])]
        rows.append({"locale": locale, "item_id": f"I{number:04}", "language": LANGUAGES[locale], "title": title})
    return rows


def write_listings(workspace: Workspace, rows: list[dict[str, Any]], mode: str = "append") -> None:
    names = ("locale", "item_id", "language", "title")
    table = pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in names]))
    write_deltalake(workspace.table(LISTINGS.name), table, partition_by=["locale"], mode=mode)  # type: ignore[call-overload]


def embedding_rows(listings: list[dict[str, Any]], space: str = SPACE, seed: int = 0) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(len(listings), DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [
        {
            "locale": listing["locale"],
            "item_id": listing["item_id"],
            "space_id": space,
            "vector": vector.tolist(),
            "bucket": int(listing["item_id"][1:]) % 4,
        }
        for listing, vector in zip(listings, vectors, strict=True)
    ]


def write_embeddings(workspace: Workspace, rows: list[dict[str, Any]], mode: str = "append") -> None:
    types = {column.name: column.type for column in EMBEDDINGS.columns}
    schema = pa.schema([(name, types[name]) for name in ("locale", "item_id", "space_id", "vector", "bucket")])
    table = pa.Table.from_pylist(rows, schema)
    write_deltalake(workspace.table(EMBEDDINGS.name), table, partition_by=["bucket"], mode=mode)  # type: ignore[call-overload]


def figure(name: str, value: float, least: float | None = None) -> Figure:
    bound: Any = "none" if least is None else "at least"
    holds = least is None or value >= least
    return Figure(
        name=name,
        value=value,
        bound=bound,
        threshold=least,
        holds=holds,
        measured_on="64 texts",
        low=value - 0.01,
        high=value + 0.01,
    )


GATE = (
    figure("agreement", 0.97, 0.9),
    figure("agreement_ar", 0.81, 0.9),
    figure("agreement_en", 0.98, 0.9),
    figure("int8_mb", 3.5),
)


def bundle(**values: Any) -> BundleManifest:
    given: dict[str, Any] = {
        "id": BUNDLE,
        "space_id": SPACE,
        "space_id_fp32": "c" * 16,
        "kind": "student",
        "preset": "tiny",
        "created_at": "2026-02-02T00:00:00+00:00",
        "parameters": 123_456,
        "hidden_size": DIMENSIONS,
        "layers": 2,
        "vocabulary_size": 500,
        "max_tokens": 64,
        "pooling": "mean",
        "rendering": {},
        "runtime": "test",
        "quantization": "int8-static",
        "training_set": {"name": "small", "version": "v1", "content_hash": "0" * 64},
        "parent": TEACHER,
        "gate": GATE,
        "files": {},
        "label_sets": {"pairs": {"name": "labels", "version": "1", "content_hash": "0" * 64}},
    }
    return BundleManifest(**given | values)


def label_set(**values: Any) -> LabelSetManifest:
    given: dict[str, Any] = {
        "name": "labels",
        "version": "1",
        "kind": "pairs",
        "created_at": "2026-01-15T00:00:00+00:00",
        "source": "pairs.csv",
        "listings_version": 0,
        "seed": 0,
        "shares": {},
        "rows": 90,
        "rows_by_split": {"learn": 50, "validate": 20, "test": 20},
        "entities_by_split": {},
        "rejected": {"unknown_listing": 3},
        "content_hash": "0" * 64,
        "files": {},
    }
    return LabelSetManifest(**given | values)


def experiment(**values: Any) -> ExperimentManifest:
    compared = Comparison(
        metric="pr_auc",
        ours="frozen",
        theirs="lexical",
        our_value=0.9,
        their_value=0.8,
        difference=0.1,
        low=0.05,
        high=0.15,
        verdict="better",
    )
    given: dict[str, Any] = {
        "id": "frozen-1",
        "partner": "duplicates",
        "strategy": "frozen",
        "settings": {},
        "seed": 0,
        "labels": {"name": "labels", "version": "1", "content_hash": "0" * 64},
        "bundle": BUNDLE,
        "space_id": SPACE,
        "engine": "int8",
        "code": "test",
        "created_at": "2026-02-03T00:00:00+00:00",
        "seconds": 1.0,
        "rows_by_split": {"test": 20},
        "threshold": 0.5,
        "figures": (figure("pr_auc", 0.9),),
        "comparisons": (compared,),
        "groups": (GroupFigure(column="language", value="ar", rows=10, positives=4, figure=figure("pr_auc", 0.7)),),
        "notes": ("clicks are <simulated>",),
    }
    return ExperimentManifest(**given | values)


def write_manifest(folder: str, manifest: Any) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / "manifest.json").write_text(to_json(manifest), encoding="utf-8")


def write_report(workspace: Workspace, job: str, start: str = START, **values: Any) -> None:
    accounting = {
        "rows_in": 70, "written": 60, "unchanged": 0, "superseded": 4, "left_out": {}, "rejected": 6,
        "rejected_reasons": {"missing_title": 6},
    }  # fmt: skip
    given = {"job": job, "run_id": job, "seconds": 12.5, "warnings": ["<b>slow</b> disk"], "accounting": accounting}
    path = Path(workspace.report(f"{job}-{start}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(given | values), encoding="utf-8")


def write_release(workspace: Workspace) -> None:
    """A champion that was compared with the teacher, and a window."""
    champion, old = SpaceBundle(bundle=BUNDLE, space_id=SPACE), SpaceBundle(bundle=TEACHER, space_id="d" * 16)
    at, ends_at = "2026-02-04T00:00:00+00:00", "2026-02-18T00:00:00+00:00"
    evidence = ReleaseEvidence(
        id="e1", bundle=BUNDLE, champion=TEACHER, labels=("labels/1",), figures=(figure("gap_ar", 0.3, 0.1),), at=at
    )
    record = ReleaseRecord(
        number=1,
        action="release",
        alias="champion",
        bundle=BUNDLE,
        at=at,
        aliases=Aliases(champion=champion, previous=old),
        window=Window(old=old, new=champion, opened_at=at, ends_at=ends_at),
        evidence="e1",
    )
    for path, value in ((workspace.release(1), record), (workspace.release_evidence("e1"), evidence)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(to_json(value), encoding="utf-8")


def fill(workspace: Workspace) -> None:
    """All but the training set, which the fixture of all tests writes."""
    rows = listing_rows()
    write_listings(workspace, rows)
    write_embeddings(workspace, embedding_rows(rows))
    for count in (24, 30):
        publish_view(workspace, [brand_row(row["item_id"], row["locale"]) for row in rows[:count]])
        find_profile(workspace, "brands", read_publications(workspace.table("features/brands")))
    write_manifest(workspace.label_set("labels", "1"), label_set())
    teacher = bundle(
        id=TEACHER, kind="teacher", space_id="d" * 16, parent=None, gate=(), created_at="2026-02-01T00:00:00+00:00"
    )
    for each in (teacher, bundle()):
        write_manifest(workspace.bundle(each.id), each)
    write_manifest(workspace.experiment("duplicates", "frozen-1"), experiment())
    write_report(workspace, "ingest_catalog")
    write_release(workspace)
