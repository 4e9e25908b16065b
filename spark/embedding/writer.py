"""The vectors of one wave become one commit that is safe to repeat and whose cost does not grow with the table."""

from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from m5model.files.lease import Lease
from schemas.embedding import EMBEDDINGS
from spark.delta.tables import merge_rows
from spark.embedding.pending import key_bucket
from spark.embedding.waves import Wave


@dataclass(frozen=True, kw_only=True)
class WaveWriter:
    """Merges by (key, space) into the wave's buckets alone. Where there is a lease, it must still be ours."""

    path: str
    space_id: str
    run_id: str
    buckets: int
    lease: Lease | None = None

    def write(self, embedded: DataFrame, wave: Wave, started: datetime) -> None:
        """Commit EMBEDDED_COLUMNS without failures. Raises ConfigurationError where the lease was lost."""
        if self.lease is not None:
            self.lease.check()
        rows = embedded.withColumn("bucket", key_bucket(self.buckets)).withColumn("space_id", F.lit(self.space_id))
        rows = rows.withColumn("run_id", F.lit(self.run_id)).withColumn("embedded_at", F.lit(started))
        prune = F.col("t.bucket").isin(*wave.buckets) & (F.col("t.space_id") == self.space_id)
        merge_rows(rows, self.path, EMBEDDINGS, update_when="s.fingerprint <> t.fingerprint", prune=prune)
