"""Make what lets small jobs start quickly: an archive of Spark's classes (spark/setup/quick_start.py) and an empty MLflow
database to copy (m5model/releases/tracking_sqlite.py). `make setup` runs it.

    python jobs/make_quick_start.py

Takes a minute or two the first time and nothing while Java, jars and MLflow stay the same. Jobs work without it, only slower:
where it cannot be made (a read-only environment), the reason goes to stderr and the exit code is 0.
"""

import argparse
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="load the classes, as the JVM does that writes the archive")
    if parser.parse_args(argv).record:
        with tempfile.TemporaryDirectory() as scratch:
            record(Path(scratch))
        return 0
    spec = importlib.util.find_spec("pyspark")  # its home, without the second that importing it takes
    try:
        make_empty_database()
        if spec is None or spec.origin is None:
            raise M5Error("pyspark is not installed")
        home = Path(spec.origin).parent
        quick_start.write_environment(home)
        quick_start.make_archive(home, [str(Path(__file__).resolve()), "--record"])
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
    """Append a vector for every listing that has none, made without a model."""
    from pyspark.sql import functions as F

    from schemas.embedding import EMBEDDINGS
    from schemas.listing import LISTINGS
    from spark.delta.tables import append_rows, create_table, read_table
    from spark.setup.session import job_session

    with job_session("m5 quick start") as spark:
        path = workspace.table(EMBEDDINGS.name)
        create_table(spark, path, EMBEDDINGS)
        listings, embeddings = (
            read_table(spark, workspace.table(name), made_by=__file__) for name in (LISTINGS.name, EMBEDDINGS.name)
        )
        missing = listings.join(embeddings, ["locale", "item_id"], "left_anti").persist()
        missing.groupBy("locale").count().collect()
        number = F.xxhash64("locale", "item_id")
        made = {
            "space_id": F.lit(SPACE),
            "fingerprint": F.sha2("title", 256),
            "vector": F.array(F.cos(number), F.sin(number)).cast("array<float>"),
            "embedded_at": F.current_timestamp(),
            "run_id": F.lit(SPACE),
            "bucket": F.pmod(number, F.lit(8)).cast("int"),
        }
        append_rows(missing.withColumns(made), path, EMBEDDINGS)


if __name__ == "__main__":
    sys.exit(main())
