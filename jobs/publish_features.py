"""Publish the partner feature views from the embeddings of one space.

    spark-submit jobs/publish_features.py [--workspace ROOT] [--space SPACE_ID] [--view NAME ...]

Views whose source and settings did not change are left as they are.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from jobs.command_line import new_parser, require_workspace, run_job, start_run
from m5model.bundles.find import find_bundle, read_manifest
from schemas.features import FEATURE_VIEWS
from schemas.report import JobReport
from schemas.space import sha256_hex
from spark.features.publish import FeatureSettings, newest_source, publish_source
from spark.features.recipes.attributes import AttributeSettings
from spark.features.recipes.brands import BrandSettings
from spark.features.recipes.duplicates import DuplicateSettings
from spark.neighbours import NeighbourSettings


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(publish, argv)


def publish(argv: Sequence[str] | None) -> JobReport:
    """The job, to be called by another that has set up the log."""
    arguments = _parser().parse_args(argv)
    settings = feature_settings(arguments)
    require_workspace(arguments)

    from spark.setup.session import job_session

    run = start_run("publish_features", arguments)
    space_id = arguments.space or read_manifest(find_bundle(run.workspace, None, "student")).space_id
    with job_session("m5 publish_features", paths=[run.workspace.root]) as spark:
        source = newest_source(spark, run.workspace, space_id)
        views = publish_source(spark, run.workspace, source=source, settings=settings)
    run.run_id = f"publish-{sha256_hex(source.to_json().encode())[:12]}"
    return run.report({"source": json.loads(source.to_json()), "views": {view.name: view.as_json() for view in views}})


def _parser() -> argparse.ArgumentParser:
    duplicates, brands, attributes, neighbours = DuplicateSettings(), BrandSettings(), AttributeSettings(), NeighbourSettings()
    parser = new_parser("Publish the partner feature views from the embeddings of one space.")
    parser.add_argument("--space", help="space id; the space of the newest student bundle otherwise")
    parser.add_argument("--view", action="append", choices=FEATURE_VIEWS, help="a view to publish, repeatable; all otherwise")
    parser.add_argument("--duplicate-threshold", type=float, default=duplicates.threshold, help="least cosine of a pair")
    parser.add_argument("--brand-min-listings", type=int, default=brands.min_listings, help="least listings of a brand")
    parser.add_argument("--attribute-min-cosine", type=float, default=attributes.min_cosine, help="least cosine of a voter")
    parser.add_argument("--attribute-min-votes", type=int, default=attributes.min_votes, help="least neighbours that vote")
    parser.add_argument(
        "--attribute-min-confidence", type=float, default=attributes.min_confidence, help="least share of the votes"
    )
    parser.add_argument("--probes", type=int, default=neighbours.probes, help="cells that a neighbour search visits")
    return parser


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


if __name__ == "__main__":
    sys.exit(main())
