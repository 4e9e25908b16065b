"""Retention policies: how long each kind of thing is kept. A JSON file of days by policy name changes them."""

import json
from dataclasses import dataclass
from typing import Literal

from schemas.checks import is_number, require
from schemas.errors import ConfigurationError

MAX_DAYS = 36_500  # a hundred years; Spark and Python count no further back than some thousand

Subject = Literal["history", "rows", "space", "training_set", "label_set", "bundle"]


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """Things of this kind may go when they are older than ``keep_days``, unless something live refers to them."""

    name: str
    subject: Subject
    keep_days: float
    meaning: str
    table: str = ""  # of history and rows
    column: str = ""  # of rows: when M5 learned of them, which their age is counted from; rows without it are kept

    def __post_init__(self) -> None:
        rule = f"keep_days is {self.keep_days!r}, expected days from 0 to {MAX_DAYS:,}"
        require(f"retention policy {self.name}", {rule: is_number(self.keep_days, 0, MAX_DAYS)})


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
        meaning="files of the feature views that only older versions of them need: a reader's time to finish",
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
        days = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{where} is not JSON: {error}", next_step='write e.g. {"listings.history": 14}') from error
    known = [policy.name for policy in RETENTION]
    if not isinstance(days, dict):
        raise ConfigurationError(f"{where} holds no JSON object", next_step='write e.g. {"listings.history": 14}')
    rules = {f"there is no policy {name!r}, only {', '.join(known)}": name in known for name in days}
    rules |= {
        f"{name} is {value!r}, expected days from 0 to {MAX_DAYS:,}": is_number(value, 0, MAX_DAYS)
        for name, value in days.items()
        if name in known
    }
    require(where, rules)
    changed = {policy.name: float(days.get(policy.name, policy.keep_days)) for policy in RETENTION}
    return tuple(RetentionPolicy(**{**policy.__dict__, "keep_days": changed[policy.name]}) for policy in RETENTION)
