"""Product type: which of the label set's classes is a listing of? Its category, which says so, is not shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from m5model.data.label_sets import LabelSet
from m5model.encoders.encoder import TextEncoder
from m5model.tasks import TaskData
from m5model.tasks._classes import KIND, Classification, ClassSettings, build_classification
from m5model.tasks._texts import without_fields

NAME = "product_type"
LABELS = KIND


@dataclass(frozen=True, kw_only=True)
class Settings(ClassSettings):
    """The task's part of a recipe."""

    scheme: str = "product_type"


def build(settings: Settings, encoder: TextEncoder, data: TaskData) -> Classification:
    """The task on this label set, with a new head for this encoder (drawn from torch's generator)."""
    return build_classification(NAME, settings, encoder, data, _text)


def _text(row: Mapping[str, Any], labels: LabelSet) -> str:
    return without_fields(row, labels, "category")
