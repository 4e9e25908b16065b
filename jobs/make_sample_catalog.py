"""Make a sample catalogue of 15 locales and 10 languages: feeds to ingest, and labels for all five partners.

    python jobs/make_sample_catalog.py --out workspace/sample_catalogue --rows 12000

The same seed and number of rows give the same bytes. No Spark, no download.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from jobs.command_line import run_job
from m5model.sample_catalogue.catalogue import write_catalogue


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = argparse.ArgumentParser(
        description="Make a sample catalogue: feeds to ingest, and labels for all five partners.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", default="workspace/sample_catalogue", metavar="DIR", help="folder to write to")
    parser.add_argument("--rows", type=int, default=12_000, help="listings, damaged records aside")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another catalogue")
    parser.add_argument("--damaged-share", type=float, default=0.02, metavar="SHARE", help="damaged records per listing")
    arguments = parser.parse_args(argv)
    started = time.monotonic()
    manifest = write_catalogue(
        Path(arguments.out), rows=arguments.rows, seed=arguments.seed, damaged_share=arguments.damaged_share
    )
    print(json.dumps({"job": "make_sample_catalog", "seconds": round(time.monotonic() - started, 3), **manifest.as_json()}))


if __name__ == "__main__":
    sys.exit(main())
