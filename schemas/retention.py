"""Retention policies: how long each kind of thing is kept. A JSON file of days by policy name changes them.

Where a policy keeps versions, too, the file may say both: {"features.history": {"days": 7, "versions": 10}}.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from schemas.checks import is_number, is_whole, require
from schemas.errors import ConfigurationError

MAX_DAYS = 36_500  # a hundred years; Spark and Python count no further back than some thousand
MAX_VERSIONS = 1_000
_EXAMPLE = 'write e.g. {"listings.history": 14}'

Subject = Literal["history", "rows", "space", "training_set", "label_set", "bundle", "view_state"]


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """Things of this kind may go when they are older than ``keep_days``, unless something live refers to them."""

    name: str
    subject: Subject
    keep_days: float
    meaning: str
    table: str = ""  # of history and rows
    column: str = ""  # of rows: when M5 learned of them, which their age is counted from; rows without it are kept
    keep_versions: int = 0  # of feature views: so many published versions stay readable whatever their age, newest first

    def __post_init__(self) -> None:
        rules = {
            f"keep_days is {self.keep_days!r}, expected days from 0 to {MAX_DAYS:,}": is_number(self.keep_days, 0, MAX_DAYS),
            f"keep_versions is {self.keep_versions!r}, expected 0 to {MAX_VERSIONS:,}": is_whole(
                self.keep_versions, 0, MAX_VERSIONS
            ),
        }
        require(f"retention policy {self.name}", rules)


RETENTION = (
    RetentionPolicy(
        name="listings.history",
        subject="history",
        table="listings",
        keep_days=30,
        meaning="files of listings that only older versions of the table need",
    ),
    RetentionPolicy(
        name="embeddings.history",
        subject="history",
        table="embeddings",
        keep_days=7,
        meaning="files of embeddings that only older versions of the table need",
    ),
    RetentionPolicy(
        name="features.history",
        subject="history",
        table="features",
        keep_days=7,
        keep_versions=5,
        meaning="files of the feature views that only older versions of them need: a reader's time to finish; beside them the "
        "newest published versions, which m5 features rollback can go back to",
    ),
    RetentionPolicy(
        name="view_state",
        subject="view_state",
        keep_days=7,
        meaning="neighbours and sums that publishing keeps to follow changes, once no published view can follow by them; "
        "publishing makes them again",
    ),
    RetentionPolicy(
        name="listing_rejects.rows",
        subject="rows",
        table="listing_rejects",
        column="rejected_at",
        keep_days=90,
        meaning="rejected records; until then jobs/replay_rejects.py can bring them back",
    ),
    RetentionPolicy(
        name="embedding_rejects.rows",
        subject="rows",
        table="embedding_rejects",
        column="rejected_at",
        keep_days=90,
        meaning="listings that a model failed on",
    ),
    RetentionPolicy(
        name="listing_tombstones.rows",
        subject="rows",
        table="listing_tombstones",
        column="recorded_at",
        keep_days=365,
        meaning="deletions; a late record older than a forgotten one brings its listing back",
    ),
    RetentionPolicy(
        name="spaces",
        subject="space",
        table="embeddings",
        keep_days=30,
        meaning="vectors of a space, counted from the newest; those of the newest student stay",
    ),
    RetentionPolicy(
        name="training_sets",
        subject="training_set",
        keep_days=90,
        meaning="versions of training sets; the newest of each name stays",
    ),
    RetentionPolicy(
        name="label_sets",
        subject="label_set",
        keep_days=90,
        meaning="versions of label sets; the newest of each name stays",
    ),
    RetentionPolicy(
        name="bundles",
        subject="bundle",
        keep_days=180,
        meaning="teachers and students; the newest of each kind stays",
    ),
)


def with_days(text: str, where: str) -> tuple[RetentionPolicy, ...]:
    """RETENTION with other days: ``text`` is a JSON object of days by policy name. Raises ConfigurationError for others."""
    try:
        changes = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{where} is not JSON: {error}", next_step=_EXAMPLE) from error
    if not isinstance(changes, dict):
        raise ConfigurationError(f"{where} holds no JSON object", next_step=_EXAMPLE)
    known = {policy.name: policy for policy in RETENTION}
    rules = {f"there is no policy {name!r}, only {', '.join(known)}": name in known for name in changes}
    for name in filter(known.__contains__, changes):  # in the file's order, so that the message is the same every time
        rules |= _rules(known[name], changes[name])
    require(where, rules)
    return tuple(_changed(policy, changes[name]) if name in changes else policy for name, policy in known.items())


def _rules(policy: RetentionPolicy, change: Any) -> dict[str, bool]:
    """Rules for ``require`` about one entry of the file."""
    wanted = {"days", "versions"} if policy.keep_versions else {"days"}
    if isinstance(change, dict) and change and set(change) <= wanted:
        days, versions = change.get("days", policy.keep_days), change.get("versions", 1)
        versions_rule = f"{policy.name} keeps {versions!r} versions, expected 1 to {MAX_VERSIONS:,}"
        return {_days_rule(policy, days): is_number(days, 0, MAX_DAYS), versions_rule: is_whole(versions, 1, MAX_VERSIONS)}
    return {_days_rule(policy, change): is_number(change, 0, MAX_DAYS)}


def _days_rule(policy: RetentionPolicy, days: object) -> str:
    return f"{policy.name} is {days!r}, expected days from 0 to {MAX_DAYS:,}"


def _changed(policy: RetentionPolicy, change: Any) -> RetentionPolicy:
    if not isinstance(change, dict):
        return replace(policy, keep_days=float(change))
    days, versions = change.get("days", policy.keep_days), change.get("versions", policy.keep_versions)
    return replace(policy, keep_days=float(days), keep_versions=versions)
