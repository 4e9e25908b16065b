"""Findings of a label kind: figures, pictures and tables beside the metrics that every experiment has."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from m5model.partners.evaluation.curves import Picture
from schemas.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Tables are kept as NAME.parquet in the experiment's folder."""

    figures: tuple[Figure, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
