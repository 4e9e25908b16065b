"""Moves an alias: to a bundle that holds beside the champion, or back. Each move is one new file (m5model.bundles.released)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from m5model.bundles.find import find_bundle, open_bundle
from m5model.bundles.released import append_release, newest_release
from m5model.releases.examination import examine, find_labels
from m5model.releases.gate import ReleaseGate
from schemas.bundle import BundleManifest
from schemas.errors import ConfigurationError, GateRefusedError
from schemas.release import WINDOW_DAYS, Alias, Aliases, ReleaseEvidence, ReleaseRecord, SpaceBundle, Window
from schemas.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class ReleaseRequest:
    """The flags of ``m5 release``."""

    bundle: str  # id in the workspace
    alias: Alias
    gate: ReleaseGate = ReleaseGate()
    labels: tuple[str, ...] = ()  # label sets by name; all that partners learn from otherwise
    window_days: float = WINDOW_DAYS  # of a new space; 0: readers are moved at once
    unmeasured: bool = False  # release although there is no label set to compare on
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class Released:
    """Says what became of a request."""

    record: ReleaseRecord  # that holds now
    evidence: ReleaseEvidence | None = None
    is_new: bool = True  # False: it was so before


def release(workspace: Workspace, request: ReleaseRequest) -> Released:
    """Examine the bundle beside the champion and let the alias name it.

    Raises GateRefusedError naming every figure that fell short, ConfigurationError for a bundle that cannot be released, while
    another window is open, and where another release was faster. Killed at any moment, nothing or all of it has happened.
    """
    path = find_bundle(workspace, request.bundle, "student")
    _, manifest = open_bundle(path)  # every byte of it
    bundle = _require_student(workspace, manifest)
    before = newest_release(workspace)
    aliases = Aliases() if before is None else before.aliases
    if before is not None and getattr(aliases, request.alias) == bundle:
        return Released(record=before, is_new=False)
    if request.alias == "champion":
        _require_closed(before)
    evidence = _examine(workspace, request, bundle, aliases.champion)
    now = datetime.now(UTC)
    record = ReleaseRecord(
        number=1 if before is None else before.number + 1,
        action="release",
        alias=request.alias,
        bundle=bundle.bundle,
        at=_iso(now),
        aliases=_moved(aliases, request.alias, bundle),
        window=_window(before, request, bundle, now),
        evidence=None if evidence is None else evidence.id,
    )
    append_release(workspace, record)
    return Released(record=record, evidence=evidence)


def roll_back(workspace: Workspace) -> Released:
    """Let the champion be the one before. Raises ConfigurationError where there was none.

    A second call finds it done, so that what follows a rollback can be repeated after a kill.
    """
    before = newest_release(workspace)
    if before is not None and before.action == "rollback":
        return Released(record=before, is_new=False)
    if before is None or before.aliases.previous is None:
        raise ConfigurationError("no champion came before this one", next_step="see `m5 release` for what was released")
    aliases = before.aliases
    record = ReleaseRecord(
        number=before.number + 1,
        action="rollback",
        alias="champion",
        bundle=before.aliases.previous.bundle,
        at=_iso(datetime.now(UTC)),
        aliases=replace(aliases, champion=aliases.previous, previous=None),
    )
    append_release(workspace, record)
    return Released(record=record)


def close_window(workspace: Workspace) -> Released:
    """Let readers be moved to the champion's space before the window's end. Raises ConfigurationError where none is open."""
    before = newest_release(workspace)
    if before is None or before.window is None or not before.window.is_open(datetime.now(UTC)):
        raise ConfigurationError("no window is open", next_step="see `m5 release` for what is served")
    record = replace(before, number=before.number + 1, action="close", at=_iso(datetime.now(UTC)), window=None, evidence=None)
    append_release(workspace, record)
    return Released(record=record)


def _examine(
    workspace: Workspace, request: ReleaseRequest, bundle: SpaceBundle, champion: SpaceBundle | None
) -> ReleaseEvidence | None:
    """The evidence; a bundle that does not hold is refused. None where there is nothing to compare on."""
    labels = find_labels(workspace, request.labels)
    if not labels.sets:
        if champion is not None and not request.unmeasured:
            raise ConfigurationError(
                f"there is no label set of a partner in {workspace.label_sets}: nothing says whether {bundle.bundle} is worse",
                next_step="run jobs/import_labels.py, or release it all the same with --unmeasured",
            )
        return None
    rival = None if champion == bundle else champion
    evidence = examine(workspace, bundle, rival, labels, request.gate, request.threads)
    _refuse_unless_it_holds(workspace, evidence)
    return evidence


def _refuse_unless_it_holds(workspace: Workspace, evidence: ReleaseEvidence) -> None:
    """Raise GateRefusedError with a table of the figures that fell short."""
    failed = [figure for figure in evidence.figures if not figure.holds]
    if not failed:
        return
    table = "\n".join(f"  {one.name:<40}{one.describe()}, {one.measured_on}" for one in failed)
    raise GateRefusedError(
        f"{evidence.bundle} falls short beside the champion {evidence.champion}, here is what it lacks:\n{table}",
        next_step=f"nothing was released; all figures are in {workspace.release_evidence(evidence.id)}. Train on texts of what "
        "fell short, or give a --gate with a larger limit",
    )


def _require_student(workspace: Workspace, manifest: BundleManifest) -> SpaceBundle:
    if manifest.kind != "student" or manifest.same_space:
        what = "a teacher" if manifest.kind != "student" else "a student for queries only"
        raise ConfigurationError(f"{manifest.id} is {what}", next_step="release a student that embeds the catalogue")
    find_bundle(workspace, manifest.id, "student")  # jobs look it up by its id
    return SpaceBundle(bundle=manifest.id, space_id=manifest.space_id)


def _require_closed(before: ReleaseRecord | None) -> None:
    window = None if before is None else before.window
    if window is not None and window.is_open(datetime.now(UTC)):
        raise ConfigurationError(
            f"until {window.ends_at} readers are moved from space {window.old.space_id} to {window.new.space_id}: a third one "
            "would break them",
            next_step="wait, end it with `m5 release --close-window`, or go back with `m5 release --rollback`",
        )


def _moved(aliases: Aliases, alias: Alias, bundle: SpaceBundle) -> Aliases:
    if alias == "candidate":
        return replace(aliases, candidate=bundle)
    candidate = None if aliases.candidate == bundle else aliases.candidate
    return Aliases(candidate=candidate, champion=bundle, previous=aliases.champion)


def _window(before: ReleaseRecord | None, request: ReleaseRequest, bundle: SpaceBundle, now: datetime) -> Window | None:
    """A new champion of another space opens one; a candidate leaves it as it is."""
    if request.alias == "candidate":
        return None if before is None else before.window
    champion = None if before is None else before.aliases.champion
    if champion is None or champion.space_id == bundle.space_id or not request.window_days:
        return None
    return Window(old=champion, new=bundle, opened_at=_iso(now), ends_at=_iso(now + timedelta(days=request.window_days)))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
