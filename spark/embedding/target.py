"""Where an embed run writes: one space of the embeddings table, in commits that are safe to repeat."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from m5model.files.lease import Lease
from schemas.embedding import BUCKETS_PROPERTY, EMBEDDINGS, choose_buckets
from schemas.workspace import Workspace
from spark.delta.log import look_up, require_table
from spark.delta.tables import create_table, delete_keys, merge_rows, read_table
from spark.embedding.pending import key_bucket

MADE_BY = "jobs/embed_catalog.py"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Commits touch the named buckets alone, so their cost does not grow with the table."""

    path: str  # of the embeddings
    version: int  # that the run reads; a fixed one, so that what a lost executor held is computed again from the same files
    buckets: int
    space_id: str
    run_id: str
    lease: Lease | None = field(default=None, compare=False)  # on object storage; must be ours at every commit

    def read(self, spark: SparkSession) -> DataFrame:
        """The vectors of the space, as they are at ``version``."""
        rows = read_table(spark, self.path, made_by=MADE_BY, version=self.version)
        return rows.where(F.col("space_id") == self.space_id)

    def renewed(self) -> "Target":
        """The same place, read as it is now: with what this run wrote."""
        return replace(self, version=require_table(self.path, made_by=MADE_BY).version)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs out, where the storage cannot: raises ConfigurationError naming a run that is at work."""
        if self.lease is None:
            yield
            return
        with self.lease:
            yield

    def write(self, embedded: DataFrame, buckets: Sequence[int], started: datetime) -> None:
        """Commit EMBEDDED_COLUMNS without failures. Raises ConfigurationError where the lease was lost."""
        self._check_lease()
        rows = embedded.withColumn("bucket", key_bucket(self.buckets)).withColumn("space_id", F.lit(self.space_id))
        rows = rows.withColumn("run_id", F.lit(self.run_id)).withColumn("embedded_at", F.lit(started))
        merge_rows(rows, self.path, EMBEDDINGS, update_when="s.fingerprint <> t.fingerprint", prune=self._prune(buckets))

    def delete(self, keys: DataFrame, buckets: Sequence[int]) -> None:
        """Delete the vectors of these listings (locale, item_id, space_id). Raises ConfigurationError as ``write`` does."""
        self._check_lease()
        delete_keys(keys.select(*EMBEDDINGS.key), self.path, EMBEDDINGS, prune=self._prune(buckets))

    def _check_lease(self) -> None:
        if self.lease is not None:
            self.lease.check()

    def _prune(self, buckets: Sequence[int]) -> Column:
        return F.col("t.bucket").isin(*buckets) & (F.col("t.space_id") == self.space_id)


def open_target(spark: SparkSession, workspace: Workspace, listings: DataFrame, *, space_id: str, run_id: str) -> Target:
    """The embeddings table of the workspace; where there is none, it is made for as many rows as there are ``listings``."""
    path = workspace.table(EMBEDDINGS.name)
    state = look_up(path)
    if state is None:
        create_table(spark, path, EMBEDDINGS, {BUCKETS_PROPERTY: str(choose_buckets(listings.count()))})
        state = require_table(path, made_by=MADE_BY)
    return Target(
        path=path,
        version=state.version,
        buckets=int(state.properties[BUCKETS_PROPERTY]),
        space_id=space_id,
        run_id=run_id,
        lease=Lease(workspace.leases(EMBEDDINGS.name), run_id) if workspace.is_remote else None,
    )
