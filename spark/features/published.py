"""Says what became of a view."""

from dataclasses import asdict, dataclass
from typing import Literal

from schemas.report import JsonValue

# ``whole``: all rows were built; ``changed``: those that the changed listings can reach; ``sums``: all, from kept sums
# that followed the changes; ``source``: none, because no changed
# listing can reach a row, and the view says now that it is of the newer source; ``none``: the view was current.
Built = Literal["whole", "changed", "sums", "source", "none"]


@dataclass(frozen=True, kw_only=True)
class PublishedView:
    """Holds what became of one view."""

    name: str
    rows_read: int  # listings that its rows were built from; 0 where none was built
    rows_made: int  # rows that were built
    unchanged: bool  # source and settings are those of the published table, so it was not built again
    built: Built
    because: str = ""  # why it was built whole

    def as_json(self) -> dict[str, JsonValue]:
        return asdict(self)
