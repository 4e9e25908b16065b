"""Fine-tunes an encoder on clicks: page and ad are encoded apart, a head reads both vectors. Needs torch."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from m5model.bundles.sources import open_source
from m5model.encoders.presets import lower_weights
from m5model.partners.click_columns import ClickColumns
from m5model.partners.data import PartnerData
from m5model.partners.fine_tuning import LABELS, Tower, begin, tower_of, train
from m5model.partners.strategy import Given
from m5model.runtime.rendering import Rendering, render
from m5model.tasks import click
from m5model.training.config import TrainingConfig
from m5model.training.shares import TaskShare
from m5model.training.stages import LearnTasks
from schemas.workspace import Workspace

FROZEN_SHARE = 0.5  # of the layers, from below, and the embedding, which keep their weights


def fine_tune_clicks(given: Given, rows: np.ndarray, *, steps: int, tokens: int, learning_rate: float) -> Tower:
    """The encoder after the task ``click`` on the rows (k,) of the split learn."""
    rendering = open_source(Workspace(""), given.source).rendering if given.source else Rendering()
    shown = replace(given, data=_shown_on_pages(given.data, rows, rendering))
    decides = {"strategy": "two-phase", "steps": steps, "learning_rate": learning_rate, "seed": given.seed}
    begun = begin(shown, max_tokens=tokens, learn=rows, decides=decides)
    layers = begun.context.preset.layers
    stage = LearnTasks(
        stage="clicks",
        tasks=(TaskShare(task=click.NAME, settings=click.Settings(), labels=LABELS),),
        training=TrainingConfig.for_new_heads(steps=steps, learning_rate=learning_rate, seed=given.seed),
        frozen=lower_weights(begun.context.preset, layers - int(layers * FROZEN_SHARE)),
    )
    return tower_of(begun, train(begun, [stage]), tokens)


def _shown_on_pages(data: PartnerData, rows: np.ndarray, rendering: Rendering) -> PartnerData:
    """The page's text, as the encoder reads it, is the context that the task compares the ad with."""
    pages = ClickColumns.of(data, rows).page_texts(data)
    if pages is None:
        return data
    rendered = pa.array([render(page, rendering) for page in pages], pa.string())
    place = data.table.column_names.index("context")
    return PartnerData(partner=data.partner, table=data.table.set_column(place, "context", rendered), source=data.source)
