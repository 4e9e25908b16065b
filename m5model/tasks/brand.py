"""Brand: whose product is it? The brand is taken out of the text, so that the answer cannot be read off."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from m5model.data.label_sets import LabelSet
from m5model.encoders.encoder import TextEncoder
from m5model.tasks import TaskData
from m5model.tasks._classes import KIND, Classification, ClassSettings, build_classification
from m5model.tasks._phrases import take_out
from m5model.tasks._texts import without_fields

NAME = "brand"
LABELS = KIND


@dataclass(frozen=True, kw_only=True)
class Settings(ClassSettings):
    """The task's part of a recipe."""

    scheme: str = "brand"


def build(settings: Settings, encoder: TextEncoder, data: TaskData) -> Classification:
    """The task on this label set, with a new head for this encoder (drawn from torch's generator)."""
    return build_classification(NAME, settings, encoder, data, _text)


def _text(row: Mapping[str, Any], labels: LabelSet) -> str:
    return take_out(without_fields(row, labels, "brand"), row["label"])
