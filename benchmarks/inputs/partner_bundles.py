"""A teacher and its int8 student for partners' benchmarks: the starter, its vocabulary cut to what real texts use."""

import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from inputs.labelled import write_training_set
from inputs.pair_sets import REAL, real_pairs
from inputs.real_listings import read_listings
from m5model.bundles.find import list_bundles
from m5model.bundles.sources import open_source
from m5model.data.training_sets import open_training_set
from m5model.encoders.huggingface import read_geometry
from m5model.export.teacher import train_teacher
from m5model.toolkit import export
from m5model.training.config import Machine
from m5model.training.recipes import from_weights
from schemas.workspace import Workspace

VOCABULARY = 32_000
LISTINGS = 40_000


def require_bundles(workspace: Workspace, data: Path) -> None:
    """Make them where the workspace has no student; nothing is trained."""
    if any(bundle.kind == "student" for bundle in list_bundles(workspace)):
        return
    texts = [{"locale": "US", "language": "en", "title": text} for text in sorted(set(_texts(data)))]
    rows = [{**row, "item_id": str(number)} for number, row in enumerate([*texts, *_listings(data)])]
    write_training_set(workspace, rows)
    source = open_source(workspace, "starter")
    training_set = open_training_set(workspace.training_set("sample", "v0"), source.rendering)
    recipe = from_weights(read_geometry(source.folder, (), VOCABULARY), source.origin, vocabulary_size=VOCABULARY)
    teacher = train_teacher(workspace, training_set, recipe, Machine(device="cpu", threads=1), source)
    export(teacher.id, workspace=workspace.root, device="cpu", threads=1)


def _texts(data: Path) -> Iterator[str]:
    for name in REAL:
        for row in real_pairs(data, name):
            if row["split"] == "learn":
                yield from (row["left_text"], row["right_text"])
    for row in pq.read_table(data / "search" / "home_depot_judgements.parquet").to_pylist():
        yield from (str(row[name]) for name in ("query", "product_title", "title", "text") if row.get(name))


def _listings(data: Path) -> Iterator[dict[str, object]]:
    found = read_listings(data)
    random.Random(0).shuffle(found)
    for one in found[:LISTINGS]:
        named = {"language": one.language, "title": one.title, "category": one.category, "description": one.description}
        yield {"locale": one.locale, **named}
