"""Training-set versions: immutable folders that own their files. The manifest is written last and makes a version real."""

import hashlib
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from m5model.files import storage
from m5model.files.checksums import sha256_of
from m5model.files.manifests import from_json
from schemas.errors import ConfigurationError
from schemas.manifests import to_json
from schemas.training_set import DATA_FOLDER, MANIFEST_FILE, TRAINING_ROWS, TrainingSetManifest
from schemas.workspace import Workspace

_BUCKETS = 4_096


def hash_content(rows: DataFrame) -> str:
    """SHA-256 over the sorted row hashes: the same rows give the same hash, however they are filed.

    Sorted within buckets of the row hash's first three digits, so that no machine has to hold all of them.
    """
    row_hash = F.sha2(F.to_json(F.struct(*TRAINING_ROWS.column_names)), 256)
    hashed = rows.select(row_hash.alias("row_hash"))
    buckets = hashed.groupBy(F.left("row_hash", F.lit(3)).alias("bucket")).agg(
        F.sha2(F.array_join(F.array_sort(F.collect_list("row_hash")), ""), 256).alias("digest")
    )
    digest = hashlib.sha256()
    for row in sorted(buckets.collect(), key=lambda row: row["bucket"]):
        digest.update(row["digest"].encode())
    return digest.hexdigest()


def find_version(workspace: Workspace, name: str, version: str) -> TrainingSetManifest | None:
    """The version's manifest, or None where it was never finished."""
    path = f"{workspace.training_set(name, version)}/{MANIFEST_FILE}"
    if not storage.exists(path):
        return None
    return from_json(TrainingSetManifest, storage.read_bytes(path), path)


def write_version(rows: DataFrame, workspace: Workspace, manifest: TrainingSetManifest) -> TrainingSetManifest:
    """Write the rows and then the manifest. ``manifest.files`` is filled in here.

    What an interrupted run left without a manifest is replaced. Raises ConfigurationError where the version exists.
    """
    folder = workspace.training_set(manifest.name, manifest.version)
    rows.repartition(_file_count(manifest.rows), "locale", "item_id").sortWithinPartitions("locale", "item_id").write.mode(
        "overwrite"
    ).parquet(f"{folder}/{DATA_FOLDER}")
    names = [name for name in storage.list_files(f"{folder}/{DATA_FOLDER}") if name.endswith(".parquet")]
    files = {f"{DATA_FOLDER}/{name}": sha256_of(f"{folder}/{DATA_FOLDER}/{name}") for name in names}
    complete = TrainingSetManifest(**{**manifest.__dict__, "files": files})
    if not storage.write_new(f"{folder}/{MANIFEST_FILE}", to_json(complete).encode()):
        raise ConfigurationError(f"training set {manifest.name}/{manifest.version} exists already", next_step="use it as it is")
    return complete


def name_version(source_version: int, content_hash: str) -> str:
    """``v12-1a2b3c4d``: the listings' Delta version, and what was drawn from it."""
    return f"v{source_version}-{content_hash[:8]}"


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _file_count(rows: int) -> int:
    """Files of about 500,000 rows: a few hundred MB, fit for streaming."""
    return max(1, round(rows / 500_000))
