"""A view recipe: what partners can rely on, what a row depends on, and how the rows are made."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Generic, Literal, TypeVar, get_args

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from schemas.checks import require
from schemas.errors import ConfigurationError
from schemas.features import FeatureView
from schemas.report import JsonValue
from schemas.workspace import Workspace

# ``row``: the listing's own columns and vector; ``group``: an exact aggregate over other listings; ``neighbourhood``: the cells
# of the neighbour search that the listing lies in.
Dependence = Literal["row", "group", "neighbourhood"]

Settings = TypeVar("Settings")


def flag(default: float | str, name: str, help_text: str, job_default: str | None = None) -> Any:
    """A field of a recipe's settings that the job has a flag for, whose default may be another one."""
    shown = default if job_default is None else job_default
    return field(default=default, metadata={"flag": name, "help": help_text, "default": shown})


@dataclass(frozen=True, kw_only=True)
class NoSettings:
    """Of a view that has nothing to set."""


@dataclass(frozen=True, kw_only=True)
class NeighbourNeed:
    """Holds what a view wants of the neighbour search."""

    k: int  # neighbours per listing
    min_cosine: float  # of a neighbour


@dataclass(frozen=True, kw_only=True)
class ViewInputs:
    """Holds what views are made from, computed once for all views of a publication."""

    catalogue: DataFrame  # listings that have a vector: locale, item_id, vector, and the columns that recipes read
    space_id: str
    neighbours: DataFrame | None = None  # see spark.neighbours; None where no view depends on them
    workspace: Workspace | None = None  # where what views refer to lies
    sums: DataFrame | None = None  # of the whole catalogue, see KeptSums; None where the view keeps none

    def require_neighbours(self) -> DataFrame:
        """Raises ConfigurationError where the recipe does not say that it depends on its neighbourhood."""
        if self.neighbours is None:
            raise ConfigurationError("a view asks for neighbours", next_step="let its recipe depend on the neighbourhood")
        return self.neighbours

    def require_sums(self) -> DataFrame:
        """Raises ConfigurationError where the recipe does not say which sums it keeps."""
        if self.sums is None:
            raise ConfigurationError("a view asks for sums", next_step="let its recipe keep some")
        return self.sums

    def require_workspace(self) -> Workspace:
        """Raises ConfigurationError where a view refers to what only a workspace has."""
        if self.workspace is None:
            raise ConfigurationError("a view names an experiment, and there is no workspace", next_step="publish by the job")
        return self.workspace


@dataclass(frozen=True, kw_only=True)
class FewInputs:
    """Holds what rows of few listings are made from in the driver."""

    spark: SparkSession
    workspace: Workspace  # where what views refer to lies
    catalogue: pa.Table  # listings that have a vector: locale, item_id, the columns that the recipe reads, and vectors it needs
    neighbours: pa.Table | None  # PAIRS of spark.neighbours.list_scan: at least those that the recipe needs
    space_id: str

    def require_neighbours(self) -> pa.Table:
        """Raises ConfigurationError where the recipe does not say that it depends on its neighbourhood."""
        if self.neighbours is None:
            raise ConfigurationError("a view asks for neighbours", next_step="let its recipe depend on the neighbourhood")
        return self.neighbours


@dataclass(frozen=True, kw_only=True)
class KeptSums:
    """Exact sums over listings, that a view is built from and that follow changes: what is new is added, what is old taken off.

    ``sum_up`` makes ``key`` (text), rows, total of a catalogue, see spark.vectors.exact_sums.sum_vectors. Every row of the
    view follows from one listing and the sums: ``describe`` gives what it follows from of a listing, its vector aside. It looks
    at the locale and the columns that the recipe reads, which are plain values here, and at no other listing.
    ``make_rows`` gives, for sums and settings, what makes the view's columns of that and the vector, its space aside.
    """

    key: str
    sum_up: Callable[[DataFrame], DataFrame]
    describe: Callable[[DataFrame], DataFrame]
    make_rows: Callable[[DataFrame, Any], Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]]


@dataclass(frozen=True, kw_only=True)
class ViewRecipe(Generic[Settings]):
    """One feature view; raises ``ConfigurationError`` naming all that is wrong with it."""

    view: FeatureView
    depends_on: tuple[Dependence, ...]
    reads: tuple[str, ...]  # columns of listings beside the key
    settings: Settings  # the defaults: a dataclass, whose fields made by ``flag`` become flags of the job
    build: Callable[[ViewInputs, Settings], DataFrame]
    search: Callable[[Settings], NeighbourNeed] | None = None  # where it depends on the neighbourhood
    # What gives the rows that ``build`` does without a plan of Spark, whose making takes longer than some thousand rows; None
    # where nothing does for these settings.
    build_few: Callable[[Settings], Callable[[FewInputs], pa.Table] | None] | None = None
    reads_for: Callable[[Settings], tuple[str, ...]] | None = None  # further columns of listings, for some settings
    pin: Callable[[Settings, Workspace, str], Settings] | None = None  # settings that name "the newest", with what that is now
    vectors: bool = True  # rows follow from vectors, beside what those decide of neighbours
    revision: int = 1  # raise it when the same source and settings would give other rows
    # How a change of listings reaches rows, see spark.features.update. Columns of the view that name listings of the row's
    # locale: a row changes only where one of them does.
    listings: tuple[str, ...] = ("item_id",)
    sums: KeptSums | None = None  # of a group: exact sums over all listings
    shares: tuple[str, ...] = ()  # of a group: columns of listings; those of a locale that share a value change together

    def __post_init__(self) -> None:
        names = {column.name for column in self.view.columns}
        rules = {
            f"depends_on must be some of {', '.join(get_args(Dependence))}, is {self.depends_on}": bool(self.depends_on)
            and set(self.depends_on) <= set(get_args(Dependence)),
            "search must be given exactly where the view depends on the neighbourhood": self.needs_neighbours
            == (self.search is not None),
            f"the key {self.view.key} must be columns of the view": set(self.view.key) <= names,
            f"listings {self.listings} must be columns of the view": set(self.listings) <= names,
            f"shares {self.shares} must be columns that the view reads": set(self.shares) <= set(self.reads),
            "settings must be an instance of a dataclass": is_dataclass(self.settings) and not isinstance(self.settings, type),
        }
        require(f"ViewRecipe {self.view.name}", rules)

    @property
    def needs_neighbours(self) -> bool:
        return "neighbourhood" in self.depends_on

    @property
    def rebuilt_because(self) -> str:
        """Why every change builds the view whole; empty where changed listings are enough."""
        if "locale" not in self.view.key:
            return "its rows do not name a locale"
        if "group" in self.depends_on and not (self.shares or self.sums):
            return "its recipe has no incremental form"
        return ""

    def columns(self, settings: Settings) -> tuple[str, ...]:
        """All columns of listings that it reads, beside the key."""
        return (*self.reads, *(self.reads_for(settings) if self.reads_for else ()))

    def settings_json(self, settings: Settings) -> dict[str, JsonValue]:
        """All of the recipe that decides the rows, beside the source and the neighbour search."""
        values: dict[str, JsonValue] = asdict(settings)  # type: ignore[call-overload]
        return {"recipe": self.revision} | ({"view": values} if values else {})
