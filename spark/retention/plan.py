"""Lists what the policies would drop now, and what they keep only because something refers to it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from m5model.bundles.find import list_bundle_ids, list_bundles
from m5model.data.set_versions import Named, list_label_sets, list_training_sets, version_names
from m5model.features import history
from m5model.features.states import list_states
from schemas.errors import ConfigurationError, GateRefusedError
from schemas.features import FOLDER
from schemas.report import JsonValue
from schemas.retention import RetentionPolicy, Subject
from schemas.workspace import Workspace
from spark.delta.tables import read_table, removable_files, table_exists, version_times
from spark.features.publication import list_published
from spark.retention.references import NEWEST, References

MADE_BY = "jobs/ingest_catalog.py"
SUBJECTS: dict[str, Subject] = {
    "training_sets": "training_set",
    "label_sets": "label_set",
    "bundles": "bundle",
    "spaces": "space",
}


@dataclass(frozen=True, kw_only=True)
class Drop:
    """One thing that is dropped, or that a reference keeps."""

    what: str  # as it lies in the workspace
    subject: Subject
    policy: str
    reason: str
    rows: int = 0  # of rows and spaces
    files: int = 0  # of history
    hours: float = 0.0  # of history: how much of it stays
    versions: tuple[int, ...] = ()  # of the history of a feature view: published versions that stay readable
    before: datetime | None = None  # of rows: what is older goes
    column: str = ""
    kept_by: tuple[str, ...] = ()  # the chain of references; empty where it goes

    def as_json(self) -> dict[str, JsonValue]:
        counted: dict[str, JsonValue] = {"what": self.what, "policy": self.policy, "reason": self.reason}
        counted |= {name: value for name, value in (("rows", self.rows), ("files", self.files)) if value}
        return counted | ({"kept_by": " ← ".join(self.kept_by)} if self.kept_by else {})


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The moment that ages are counted to."""

    now: datetime

    def limit(self, policy: RetentionPolicy) -> datetime:
        return self.now - timedelta(days=policy.keep_days)

    def days(self, moment: datetime) -> float:
        return (self.now - moment).total_seconds() / 86_400


def plan_retention(
    spark: SparkSession, workspace: Workspace, policies: Sequence[RetentionPolicy], references: References, now: datetime
) -> list[Drop]:
    """Returns everything that is older than its policy allows, in the order of the policies."""
    clock = Clock(now=now)
    finders = {
        "space": _spaces,
        "training_set": _sets,
        "label_set": _sets,
        "bundle": _bundles,
        "rows": _rows,
        "history": _history,
        "view_state": _view_states,
    }
    return [drop for policy in policies for drop in finders[policy.subject](spark, workspace, policy, references, clock)]


def plan_drops(spark: SparkSession, workspace: Workspace, names: Sequence[str], references: References) -> list[Drop]:
    """Returns drops of the things that a person names, whatever their age.

    Raises GateRefusedError with the chain of references where something needs one of them.
    """
    drops = []
    for name in names:
        kind, _, rest = name.strip("/").partition("/")
        if kind not in SUBJECTS or not _is_there(spark, workspace, kind, rest):
            raise ConfigurationError(
                f"there is no {name} in {workspace.root}",
                next_step="name training_sets/NAME/VERSION, label_sets/NAME/VERSION, bundles/ID or spaces/ID as they lie there",
            )
        drops.append(_judged(Drop(what=f"{kind}/{rest}", subject=SUBJECTS[kind], policy="--drop", reason="named"), references))
    kept = [drop for drop in drops if drop.kept_by]
    if kept:
        raise GateRefusedError(
            "nothing was dropped, for this is referred to:\n  " + "\n  ".join(" ← ".join(drop.kept_by) for drop in kept),
            next_step="first drop, or publish anew, the last thing of each chain",
        )
    return drops


def _is_there(spark: SparkSession, workspace: Workspace, kind: str, name: str) -> bool:
    """Is the name among those that the workspace lists? A path that leads there by a detour is not."""
    match kind:
        case "spaces":
            return name in dict(_space_ages(spark, workspace))
        case "bundles":
            return name in list_bundle_ids(workspace)
        case "label_sets":
            return name in version_names(workspace.label_sets)
        case _:
            return name in version_names(workspace.training_sets)


def _judged(drop: Drop, references: References) -> Drop:
    return Drop(**{**drop.__dict__, "kept_by": references.chain(drop.what)})


def _sets(
    spark: SparkSession, workspace: Workspace, policy: RetentionPolicy, references: References, clock: Clock
) -> Iterator[Drop]:
    """Versions of training sets, or of label sets."""
    is_labels = policy.subject == "label_set"
    folder = "label_sets" if is_labels else "training_sets"
    sets: Sequence[Named] = list_label_sets(workspace) if is_labels else list_training_sets(workspace)
    newest = {manifest.name: manifest.version for manifest in sets}  # oldest first
    for manifest in sets:
        made = datetime.fromisoformat(manifest.created_at)
        if made >= clock.limit(policy):
            continue
        what = f"{folder}/{manifest.name}/{manifest.version}"
        reason = f"made {clock.days(made):.0f} days ago"
        drop = _judged(Drop(what=what, subject=policy.subject, policy=policy.name, reason=reason), references)
        if not drop.kept_by and newest[manifest.name] == manifest.version:
            drop = Drop(**{**drop.__dict__, "kept_by": (what, f"{NEWEST} of its name")})
        yield drop


def _bundles(
    spark: SparkSession, workspace: Workspace, policy: RetentionPolicy, references: References, clock: Clock
) -> Iterator[Drop]:
    for manifest in list_bundles(workspace):
        made = datetime.fromisoformat(manifest.created_at)
        if made < clock.limit(policy):
            reason = f"made {clock.days(made):.0f} days ago"
            drop = Drop(what=f"bundles/{manifest.id}", subject="bundle", policy=policy.name, reason=reason)
            yield _judged(drop, references)


def _spaces(
    spark: SparkSession, workspace: Workspace, policy: RetentionPolicy, references: References, clock: Clock
) -> Iterator[Drop]:
    for space, (newest, rows) in _space_ages(spark, workspace):
        if newest < clock.limit(policy):
            reason = f"its newest vector is {clock.days(newest):.0f} days old"
            yield _judged(
                Drop(what=f"spaces/{space}", subject="space", policy=policy.name, reason=reason, rows=rows), references
            )


def _space_ages(spark: SparkSession, workspace: Workspace) -> list[tuple[str, tuple[datetime, int]]]:
    path = workspace.table("embeddings")
    if not table_exists(spark, path):
        return []
    spaces = read_table(spark, path, made_by=MADE_BY).groupBy("space_id")
    ages = spaces.agg(F.unix_micros(F.max("embedded_at")).alias("newest"), F.count(F.lit(1)).alias("rows"))
    return [(row["space_id"], (_instant(row["newest"]), row["rows"])) for row in ages.orderBy("space_id").collect()]


def _rows(
    spark: SparkSession, workspace: Workspace, policy: RetentionPolicy, references: References, clock: Clock
) -> Iterator[Drop]:
    path = workspace.table(policy.table)
    if not table_exists(spark, path):
        return
    before = clock.limit(policy)
    table = read_table(spark, path, made_by=MADE_BY)
    if policy.column not in table.columns:  # made before there was the column: nobody knows how old its rows are
        return
    rows = table.where(F.col(policy.column) < F.lit(before)).count()
    if rows:
        reason = f"{policy.column} is more than {policy.keep_days:g} days ago"
        yield Drop(
            what=policy.table, subject="rows", policy=policy.name, reason=reason, rows=rows, before=before, column=policy.column
        )


def _history(
    spark: SparkSession, workspace: Workspace, policy: RetentionPolicy, references: References, clock: Clock
) -> Iterator[Drop]:
    if policy.table == FOLDER:
        for view in list_published(workspace):
            yield from _view_history(workspace, policy, view, clock)
        return
    table, path = policy.table, workspace.table(policy.table)
    if not table_exists(spark, path):
        return
    wanted = policy.keep_days * 24
    needed, chain = _needed_hours(version_times(spark, path), table, references, clock)
    hours = max(wanted, needed)
    files = removable_files(spark, path, hours)
    kept = removable_files(spark, path, wanted) - files if needed > wanted else 0
    reason = f"no version of the last {hours / 24:g} days needs them"
    if files:
        yield Drop(what=table, subject="history", policy=policy.name, reason=reason, files=files, hours=hours)
    if kept:
        yield Drop(
            what=table, subject="history", policy=policy.name, reason="a reference needs them", files=kept, kept_by=chain
        )


def _view_history(workspace: Workspace, policy: RetentionPolicy, view: str, clock: Clock) -> Iterator[Drop]:
    """Files of versions that are neither young nor among the newest published ones."""
    path, hours = workspace.table(view), policy.keep_days * 24
    young = history.kept_versions(path, 0, clock.limit(policy))
    versions = history.kept_versions(path, policy.keep_versions, clock.limit(policy))
    files = len(history.removable_files(path, hours, versions))
    kept = len(history.removable_files(path, hours, young)) - files
    newest = f"{NEWEST} {policy.keep_versions} published versions"
    drop = Drop(what=view, subject="history", policy=policy.name, reason="", hours=hours, versions=tuple(versions), files=files)
    if files:
        reason = f"no version of the last {policy.keep_days:g} days needs them, nor one of {newest}"
        yield replace(drop, reason=reason)
    if kept:
        chain = (f"{view}@{versions[0]}", newest)
        yield replace(drop, reason="m5 features rollback can go back to them", files=kept, kept_by=chain)


def _view_states(
    spark: SparkSession, workspace: Workspace, policy: RetentionPolicy, references: References, clock: Clock
) -> Iterator[Drop]:
    """Folders that were not written to for a while and that no published view follows changes by."""
    for state in list_states(workspace):
        if state.committed_at < clock.limit(policy):
            reason = f"last written {clock.days(state.committed_at):.0f} days ago"
            what = f"view_state/{state.name}"
            kept_by = (what, *state.used_by[:1]) if state.used_by else ()
            yield Drop(what=what, subject="view_state", policy=policy.name, reason=reason, rows=state.rows, kept_by=kept_by)


def _needed_hours(
    times: dict[int, datetime], table: str, references: References, clock: Clock
) -> tuple[float, tuple[str, ...]]:
    """How far back the history must reach so that every version which is referred to can be read."""
    longest = 0.0
    chain: tuple[str, ...] = ()
    for version in times:
        thing = f"{table}@{version}"
        if thing in references.users and version + 1 in times:  # its files began to be replaced by the version after it
            hours = clock.days(times[version + 1]) * 24 + 1
            if hours > longest:
                longest, chain = hours, references.chain(thing)
    return longest, chain


def _instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC)
