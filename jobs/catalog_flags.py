"""The flags that say in which catalog published views are registered."""

import argparse

from jobs.flags import JobParser
from spark.features.registration import SESSION_CATALOG, Registry


def add_catalog_flags(parser: JobParser) -> None:
    """Says where published views are registered."""
    parser.add_argument("--database", metavar="NAME", help="register the views there; nowhere otherwise")
    parser.add_argument("--catalog", metavar="NAME", help=f"another of the session's catalogs; {SESSION_CATALOG} otherwise")
    parser.require_with("--database", "--catalog")


def catalog_registry(arguments: argparse.Namespace) -> Registry | None:
    """Returns what these flags name; None where nothing is to be registered."""
    if arguments.database is None:
        return None
    return Registry(catalog=arguments.catalog or SESSION_CATALOG, database=arguments.database)
