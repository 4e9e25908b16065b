"""Opens Delta tables through delta-rs: no Spark, no JVM."""

from pathlib import Path

from deltalake import DeltaTable

from m5model.files import s3, storage


def open_delta(path: str, version: int | None = None) -> DeltaTable:
    """The table at ``version`` or now, with the same AWS variables that the rest of M5 reads."""
    return DeltaTable(delta_uri(path), version=version, storage_options=delta_options(path))


def delta_uri(path: str) -> str:
    """delta-rs takes text for a URI, in which % and # mean something."""
    return path.replace("s3a://", "s3://", 1) if storage.is_remote(path) else Path(path).absolute().as_uri()


def delta_options(path: str) -> dict[str, str] | None:
    """Options of its storage; None for a local table."""
    if not storage.is_remote(path):
        return None
    return s3.delta_options()
