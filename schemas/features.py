"""Defines what a feature view declares to the partners that read it. The views are the files of spark/features/recipes.

Each is published as a Delta table that holds its declaration as a property.
"""

import json
from dataclasses import dataclass

from schemas.tables import TEXT, Column, Table

FOLDER = "features"  # of the workspace, holds a table per view
DECLARATION_PROPERTY = "m5.feature_view"
SOURCE_PROPERTY = "m5.source"
SETTINGS_PROPERTY = "m5.settings"

SPACE_ID = Column(name="space_id", type=TEXT, meaning="vector space that the row was made from", nullable=False)


@dataclass(frozen=True, kw_only=True)
class FeatureView:
    """What a partner team can rely on."""

    name: str
    owner: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    freshness_hours: int  # hours within which a changed listing must show

    def table(self) -> Table:
        """Returns the Delta table ``features/NAME``, the declaration among its properties."""
        return Table(
            name=f"{FOLDER}/{self.name}",
            columns=self.columns,
            key=self.key,
            properties={DECLARATION_PROPERTY: self.declaration()},
        )

    def declaration(self) -> str:
        """Returns the view as one JSON object, keys sorted."""
        columns = [
            {"name": c.name, "type": str(c.type), "unit": c.unit, "meaning": c.meaning, "nullable": c.nullable}
            for c in self.columns
        ]
        declared = {
            "name": self.name,
            "owner": self.owner,
            "description": self.description,
            "key": list(self.key),
            "columns": columns,
            "source": "embeddings of one space, with the listings that they were made from",
            "freshness_hours": self.freshness_hours,
        }
        return json.dumps(declared, sort_keys=True, ensure_ascii=False)
