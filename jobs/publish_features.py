"""Publish the partner feature views from the embeddings of one space.

    spark-submit jobs/publish_features.py [--workspace ROOT] [--space SPACE_ID] [--view NAME ...] [--whole] [--verify]
        [--database NAME]

Views whose source and settings did not change are left as they are, and so are those that a rollback holds (m5 features). The
others follow the listings that changed; the report says of each how it was built, and where it was built whole, why. With
--database all of them are registered in a catalog, too (docs/catalogs.md).

While a release's window is open (m5 release), views of the space that is coming are published beside them, in next/features/.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import Field, fields, replace
from typing import Any

from pyspark import SparkConf
from pyspark.sql import SparkSession

from jobs.catalog_flags import add_catalog_flags, catalog_registry
from jobs.command_line import new_parser, require_workspace, run_job, start_run
from jobs.flags import JobParser, number, whole_number
from m5model.features.holds import publishing_lease
from m5model.files import storage
from schemas.canonical import identify
from schemas.report import JobReport
from schemas.workspace import Workspace
from spark.features.profile import record_profiles
from spark.features.publication import Publication
from spark.features.publish import publish_source, skip_views
from spark.features.published import PublishedView
from spark.features.registration import Registry, catalog_settings, register_views, require_lasting
from spark.features.registry import load_recipes
from spark.features.settings import FOLLOW_FROM, FeatureSettings
from spark.features.targets import Plan, find_targets, plan_target
from spark.features.verify import require_same, verify_views
from spark.neighbours import NeighbourSettings

ASKED = "it was asked for"


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(publish, argv)


def publish(argv: Sequence[str] | None) -> JobReport:
    """The job, to be called by another that has set up the log."""
    arguments = _parser().parse_args(argv)
    settings = feature_settings(arguments)
    require_workspace(arguments)
    run = start_run("publish_features", arguments)
    registry = catalog_registry(arguments)
    targets = find_targets(run.workspace, arguments.space)
    whole = ASKED if arguments.whole else ""
    with publishing_lease(run.workspace, run.start):
        plans = [
            plan_target(run.workspace, target, settings, whole=whole, retrain_cells=arguments.retrain_cells)
            for target in targets
        ]
        built, registered = _publish_plans(run.workspace, plans, registry, verify=arguments.verify)
        if len(targets) == 1 and arguments.space is None:
            storage.delete_folder(run.workspace.next.root)  # readers of the space that was coming have it in features/ now
    run.run_id = f"publish-{identify([plan.decides for plan in plans])}"
    first, *coming = [plan.as_json(views) for plan, views in zip(plans, built, strict=True)]
    return run.report(
        {**first, "registered": dict(registered), **({"next": coming[0]} if coming else {})},
        warnings=[warning for plan in plans for warning in plan.warnings],
    )


def _publish_plans(
    workspace: Workspace, plans: Sequence[Plan], registry: Registry | None, *, verify: bool
) -> tuple[list[list[PublishedView]], dict[str, str]]:
    """Returns what became of each plan's views, and their names in the catalog. No Spark session where there is nothing to do.

    The catalog has the views of the first plan, which readers have.
    """
    publications = [plan.publication for plan in plans]
    if not (verify or registry or any(publication.stale for publication in publications)):
        return [skip_views(publication) for publication in publications], {}
    from spark.setup.session import job_session

    def settings(conf: SparkConf) -> dict[str, str]:
        return catalog_settings(registry, conf) if registry else {}

    with job_session("m5 publish_features", paths=[workspace.root], settings=settings) as spark:
        if registry:
            require_lasting(spark, registry)
        built = [_publish(spark, workspace, publication, verify=verify) for publication in publications]
        names = [*(view.name for view in built[0]), *plans[0].held]
        return built, register_views(spark, workspace, names, registry) if registry else {}


def _publish(spark: SparkSession, workspace: Workspace, publication: Publication, *, verify: bool) -> list[PublishedView]:
    views = publish_source(spark, workspace, publication) if publication.stale else skip_views(publication)
    record_profiles(spark, publication.target, publication.stale)
    if verify:
        require_same(verify_views(spark, workspace, publication))
    return views


def _parser() -> JobParser:
    parser = new_parser("Publish the partner feature views from the embeddings of one space.")
    parser.add_argument("--space", help="space id; that of the champion (m5 release), else of the newest student")
    add_catalog_flags(parser)
    names = list(load_recipes())
    parser.add_argument("--view", action="append", choices=names, help="a view to publish, repeatable; all otherwise")
    parser.add_argument("--whole", action="store_true", help="build all views whole, current ones too")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="then build the views beside, and end with exit code 4 where readers see other rows",
    )
    parser.add_argument(
        "--retrain-cells",
        action="store_true",
        help="train the cells of the neighbour search anew; views that use it are built whole",
    )
    for _, field in _flagged_fields():
        default = field.metadata["default"]
        kind = str if isinstance(default, str) else whole_number() if isinstance(default, int) else number()
        parser.add_argument(field.metadata["flag"], type=kind, default=default, help=field.metadata["help"])
    parser.add_argument(
        "--follow-from",
        type=whole_number(0),
        default=FOLLOW_FROM,
        metavar="LISTINGS",
        help="views of fewer are built whole, because that takes no longer",
    )
    probes = NeighbourSettings().probes
    parser.add_argument("--probes", type=whole_number(), default=probes, help="cells that a neighbour search visits")
    return parser


def feature_settings(arguments: argparse.Namespace) -> FeatureSettings:
    """The settings of every recipe, as its flags say."""
    given: dict[str, dict[str, object]] = {}
    for view, field in _flagged_fields():
        flag: str = field.metadata["flag"]
        given.setdefault(view, {})[field.name] = getattr(arguments, flag.removeprefix("--").replace("-", "_"))
    recipes = load_recipes()
    return FeatureSettings(
        views=tuple(dict.fromkeys(arguments.view or recipes)),
        recipes={view: replace(recipes[view].settings, **values) for view, values in given.items()},
        neighbours=NeighbourSettings(probes=arguments.probes),
        follow_from=arguments.follow_from,
    )


def _flagged_fields() -> Iterator[tuple[str, Field[Any]]]:
    """Each view with the fields of its settings that have a flag."""
    named = ((name, field) for name, recipe in load_recipes().items() for field in fields(recipe.settings))
    return ((name, field) for name, field in named if "flag" in field.metadata)


if __name__ == "__main__":
    sys.exit(main())
