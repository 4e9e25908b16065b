"""A partner's rows as the training side reads them: a label set in memory, and its texts as a training set.

Recipes' own stages then learn from a partner's file as they do from an imported label set.
"""

from typing import Any

import numpy as np
from datasets import Dataset

from m5model.data.keys import key_hash
from m5model.data.label_sets import LabelSet
from m5model.data.training_sets import TrainingSet, held_out_mask
from m5model.partners.data import PartnerData
from m5model.runtime.rendering import Rendering, render
from schemas.labels import SPLITS, LabelSetManifest
from schemas.partner import LANGUAGE
from schemas.training_set import COUNT_FIELDS, TrainingSetManifest

CREATED = "1970-01-01T00:00:00+00:00"  # sets in memory have no date: it would make equal runs differ


def as_label_set(data: PartnerData, rendering: Rendering, learn: np.ndarray | None = None) -> LabelSet:
    """The rows by split, their texts as the encoder reads them. ``learn`` are the rows to learn from, where not all are."""
    kind = data.partner.labels
    chosen = {split: data.rows_of(split) for split in SPLITS}
    if learn is not None:
        chosen["learn"] = learn
    manifest = LabelSetManifest(
        name=f"{data.partner.name} rows",
        version=data.source.version,
        kind=kind.name,
        created_at=CREATED,
        source=data.source.name,
        listings_version=None,
        seed=0,
        shares={},
        rows=sum(len(rows) for rows in chosen.values()),
        rows_by_split={split: len(rows) for split, rows in chosen.items()},
        entities_by_split={},
        rejected={},
        content_hash=data.source.content_hash,
        files={},
    )
    splits = {split: _dataset(data.select(rows), rendering) for split, rows in chosen.items()}
    return LabelSet(manifest=manifest, splits=splits, listings=None, rendering=rendering)


def as_training_set(data: PartnerData, rendering: Rendering) -> TrainingSet:
    """The different texts of the split learn, a twentieth of them held out."""
    learned = data.select(data.rows_of("learn"))
    languages: dict[str, str] = {}
    for side in data.partner.labels.sides:
        for text, language in zip(learned.texts(side), learned.column(LANGUAGE), strict=True):
            if text:
                languages.setdefault(text, language or "en")
    texts = sorted(languages)
    keys = np.asarray([key_hash(text) for text in texts], np.int64)
    rows = Dataset.from_dict(
        {"text": [render(text, rendering) for text in texts], "language": [languages[text] for text in texts], "key": keys}
    ).select(np.argsort(keys, kind="stable"))
    held_out = held_out_mask(np.asarray(rows["key"][:], np.int64))
    counts: dict[str, Any] = {name: {} for name in COUNT_FIELDS}
    manifest = TrainingSetManifest(
        name=f"{data.partner.name} texts",
        version=data.source.version,
        created_at=CREATED,
        source_table="none",
        source_version=0,
        filters=[],
        plan={},
        seed=0,
        rows=len(texts),
        content_hash=data.source.content_hash,
        token_unit="characters",
        files={},
        **counts,
    )
    return TrainingSet(manifest, rows.select(np.flatnonzero(~held_out)), rows.select(np.flatnonzero(held_out)), rendering)


def _dataset(rows: PartnerData, rendering: Rendering) -> Dataset:
    """The kind's columns with rendered texts and a 63-bit key, in the order of the rows."""
    kind = rows.partner.labels
    columns: dict[str, list[Any]] = {name: rows.table.column(name).to_pylist() for name in kind.table.column_names}
    named = [columns[name] for name in kind.table.key]
    keys = [key_hash(*map(str, values)) for values in zip(*named, strict=True)] if len(rows) else []
    for side in kind.sides:
        columns[f"{side}text"] = [render(text, rendering) for text in columns[f"{side}text"]]
        columns[f"{side}listing"] = [-1] * len(rows)
    return Dataset.from_dict({**columns, "key": keys})
