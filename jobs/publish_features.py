"""Publish the partner feature views from the embeddings of one space.

    spark-submit jobs/publish_features.py [--workspace PATH] [--space SPACE_ID] [--view NAME ...]

Views whose source and settings did not change are left as they are. The last line of stdout is the report as JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from m5model.bundles import list_bundles
from schemas.errors import ConfigurationError, ExitCode, M5Error
from schemas.features import FEATURE_VIEWS
from schemas.report import JobReport
from schemas.space import sha256_hex
from schemas.workspace import Workspace
from spark.features.attributes import AttributeSettings
from spark.features.brands import BrandSettings
from spark.features.duplicates import DuplicateSettings
from spark.features.publish import FeatureSettings, FeatureSource, PublishedView, publish_features
from spark.neighbours import NeighbourSettings

EMBED = "spark-submit jobs/embed_catalog.py"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    try:
        print(publish(arguments).to_line())
    except M5Error as error:
        print(f"publish_features: {error}", file=sys.stderr)
        return error.exit_code
    return ExitCode.DONE


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    duplicates, brands, attributes, neighbours = DuplicateSettings(), BrandSettings(), AttributeSettings(), NeighbourSettings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", help="default: $M5_WORKSPACE, else ./workspace")
    parser.add_argument("--space", help="space id; default: the space of the newest student bundle")
    parser.add_argument("--view", action="append", choices=FEATURE_VIEWS, help="repeatable; default: all views")
    parser.add_argument("--duplicate-threshold", type=float, default=duplicates.threshold, help="least cosine (%(default)s)")
    parser.add_argument("--brand-min-listings", type=int, default=brands.min_listings, help="least listings (%(default)s)")
    parser.add_argument("--attribute-min-cosine", type=float, default=attributes.min_cosine, help="of a voter (%(default)s)")
    parser.add_argument("--attribute-min-votes", type=int, default=attributes.min_votes, help="neighbours (%(default)s)")
    parser.add_argument("--attribute-min-confidence", type=float, default=attributes.min_confidence, help="(%(default)s)")
    parser.add_argument(
        "--probes", type=int, default=neighbours.probes, help="cells that a neighbour search visits (%(default)s)"
    )
    return parser.parse_args(argv)


def feature_settings(arguments: argparse.Namespace) -> FeatureSettings:
    return FeatureSettings(
        views=tuple(dict.fromkeys(arguments.view or FEATURE_VIEWS)),
        duplicates=DuplicateSettings(threshold=arguments.duplicate_threshold),
        brands=BrandSettings(min_listings=arguments.brand_min_listings),
        attributes=AttributeSettings(
            min_cosine=arguments.attribute_min_cosine,
            min_votes=arguments.attribute_min_votes,
            min_confidence=arguments.attribute_min_confidence,
        ),
        neighbours=NeighbourSettings(probes=arguments.probes),
    )


def publish(arguments: argparse.Namespace) -> JobReport:
    started = time.monotonic()
    settings = feature_settings(arguments)
    workspace = Workspace.resolve(arguments.workspace)
    space_id = arguments.space or newest_space(workspace)
    spark = SparkSession.builder.appName("m5 publish_features").getOrCreate()
    listings, listings_version = read_newest(
        spark, workspace.table("listings"), "spark-submit jobs/ingest_catalog.py --feed PATH"
    )
    embeddings, embeddings_version = read_newest(spark, workspace.table("embeddings"), EMBED)
    source = FeatureSource(space_id=space_id, embeddings_version=embeddings_version, listings_version=listings_version)
    of_space = embeddings.where(embeddings.space_id == space_id)
    views = publish_features(spark, workspace, listings, of_space, source=source, settings=settings)
    return report(workspace, source, views, time.monotonic() - started)


def newest_space(workspace: Workspace) -> str:
    """The space of the newest student bundle. Raises ``ConfigurationError`` where there is none."""
    spaces = [bundle.space_id for bundle in list_bundles(workspace) if bundle.kind == "student"]
    if not spaces:
        raise ConfigurationError(
            f"no student bundle in {workspace.bundles}, so no space to publish",
            next_step=f"run spark-submit jobs/distill_student.py, then {EMBED}; or give --space",
        )
    return spaces[-1]


def read_newest(spark: SparkSession, path: str, made_by: str) -> tuple[DataFrame, int]:
    """The Delta table and the version that was read. Raises ``ConfigurationError`` naming the command that makes it."""
    if not DeltaTable.isDeltaTable(spark, path):
        raise ConfigurationError(f"there is no table {path}", next_step=f"run {made_by}")
    version = DeltaTable.forPath(spark, path).history(1).collect()[0]["version"]
    return spark.read.format("delta").option("versionAsOf", version).load(path), version


def report(workspace: Workspace, source: FeatureSource, views: Sequence[PublishedView], seconds: float) -> JobReport:
    return JobReport(
        job="publish_features",
        run_id=f"publish-{sha256_hex(source.to_json().encode())[:16]}",
        workspace=workspace.root,
        seconds=seconds,
        figures={"source": json.loads(source.to_json()), "views": [view.as_json() for view in views]},
    )


if __name__ == "__main__":
    sys.exit(main())
