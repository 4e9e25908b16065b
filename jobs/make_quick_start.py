"""Make what lets small jobs start quickly: an archive of Spark's classes (spark/setup/quick_start.py) and an empty MLflow
database to copy (m5model/releases/tracking_sqlite.py). `make setup` runs it.

    python jobs/make_quick_start.py

Takes a minute or two the first time and nothing while Java, jars and MLflow stay the same. Jobs work without it, only slower:
where it cannot be made (a read-only environment), the reason goes to stderr and the exit code is 0.
"""

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from m5model.releases.tracking import make_empty_database
from schemas.errors import M5Error
from schemas.workspace import Workspace
from spark.setup import quick_start

ROWS = 200
SPACE = "quick-start"


def main(argv: Sequence[str] | None = None) -> int:
    if list(sys.argv[1:] if argv is None else argv) == ["--record"]:
        with tempfile.TemporaryDirectory() as scratch:
            record(Path(scratch))
        return 0
    spec = importlib.util.find_spec("pyspark")  # its home, without the second that importing it takes
    try:
        make_empty_database()
        if spec is None or spec.origin is None:
            raise M5Error("pyspark is not installed")
        quick_start.make_archive(Path(spec.origin).parent, [str(Path(__file__).resolve()), "--record"])
    except (M5Error, OSError, ImportError, subprocess.SubprocessError) as error:
        print(f"setup: jobs will start slowly: {error}", file=sys.stderr)
    return 0


def record(scratch: Path) -> None:
    """Load the classes that jobs load: two ingests, vectors, the feature views, all in one JVM."""
    from jobs import ingest_catalog, publish_features
    from m5model.sample_catalogue.catalogue import write_catalogue

    workspace = Workspace(str(scratch / "workspace"))
    shared = ["--workspace", workspace.root, "--tracking-uri", "none"]
    for seed in (0, 1):
        write_catalogue(scratch / f"catalogue-{seed}", rows=ROWS, seed=seed)
        ingest_catalog.ingest([*shared, "--feed", str(scratch / f"catalogue-{seed}" / "feeds")])
        _write_vectors(workspace)
    publish_features.publish([*shared, "--space", SPACE])


def _write_vectors(workspace: Workspace) -> None:
    """Vectors for listings that have none, by the way that an embed run goes, but without a model."""
    from pyspark.sql import functions as F

    from m5model.runtime.rendering import DEFAULT_RENDERING
    from schemas.embedding import EMBEDDINGS
    from schemas.listing import LISTINGS
    from spark.delta.tables import append_rows, count_by, create_table, read_table
    from spark.embedding.pending import find_pending
    from spark.setup.session import job_session

    with job_session("m5 quick start") as spark:
        path = workspace.table(EMBEDDINGS.name)
        create_table(spark, path, EMBEDDINGS)
        listings, embeddings = (
            read_table(spark, workspace.table(name), made_by=__file__) for name in (LISTINGS.name, EMBEDDINGS.name)
        )
        pending = find_pending(listings, embeddings, rendering=DEFAULT_RENDERING, space_id=SPACE, buckets=8).persist()
        count_by(pending, "bucket")
        number = F.xxhash64("item_id", "locale") % 1_000 / 1_000
        made = {
            "space_id": F.lit(SPACE),
            "vector": F.array(F.cos(number), F.sin(number)).cast("array<float>"),
            "embedded_at": F.current_timestamp(),
            "run_id": F.lit(SPACE),
        }
        append_rows(pending.withColumns(made), path, EMBEDDINGS)


if __name__ == "__main__":
    sys.exit(main())
