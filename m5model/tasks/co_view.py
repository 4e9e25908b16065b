"""Co-view: which listings are looked at in one session?"""

from dataclasses import dataclass

from m5model.encoders.encoder import TextEncoder
from m5model.tasks import TaskData
from m5model.tasks._sessions import KIND, SessionSettings, Together, build_together

NAME = "co_view"
LABELS = KIND
EVENT = "view"


@dataclass(frozen=True, kw_only=True)
class Settings(SessionSettings):
    """The task's part of a recipe."""


def build(settings: Settings, encoder: TextEncoder, data: TaskData) -> Together:
    """The task on this label set, with a new head for this encoder."""
    return build_together(NAME, EVENT, settings, encoder, data)
