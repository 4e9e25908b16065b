"""Real listings, and the half of them that no rule or threshold was chosen on."""

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import pyarrow.parquet as pq

from inputs.listings import REAL_CATALOGUE
from schemas.errors import ConfigurationError

COLUMNS = ["item_id", "locale", "language", "title", "category", "description"]


@dataclass(frozen=True, kw_only=True)
class RealListing:
    """What the benchmarks of texts need of a listing."""

    catalogue: str  # the file's name without its ending
    item_id: str
    locale: str
    language: str
    title: str
    category: str | None
    description: str | None

    @property
    def is_for_report(self) -> bool:
        """Half of all, by a hash of the key. Rules and thresholds are chosen on the other half."""
        return crc32(f"{self.locale}/{self.item_id}".encode()) % 2 == 1


def find_folder(data: Path) -> Path:
    """The catalogue itself, or the folder that it lies in as ``catalogue``."""
    return data / "catalogue" if (data / "catalogue").is_dir() else data


def read_listings(data: Path = REAL_CATALOGUE) -> list[RealListing]:
    """Listings that have a title, in the order of the files."""
    files = sorted(find_folder(data).glob("*.parquet"))
    if not files:
        raise ConfigurationError(f"no catalogue in {data}", next_step="name its folder: --data, or M5_REAL_CATALOGUE")
    rows = ((file.stem, row) for file in files for row in pq.read_table(file, columns=COLUMNS).to_pylist())
    return [RealListing(catalogue=name, **row) for name, row in rows if row["title"]]
