"""Make a sample catalogue of 15 locales and 10 languages: feeds to ingest, and labels for all five partners.

    python jobs/make_sample_catalog.py --out workspace/sample_catalogue --rows 12000

The same seed and number of rows give the same bytes. No Spark, no download.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from jobs.command_line import print_line, run_job
from jobs.flags import JobParser, number, whole_number
from m5model.sample_catalogue.catalogue import write_catalogue


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = JobParser("Make a sample catalogue: feeds to ingest, and labels for all five partners.")
    parser.add_argument("--out", default="workspace/sample_catalogue", metavar="DIR", help="folder to write to")
    parser.add_argument("--rows", type=whole_number(1, 100_000_000), default=12_000, help="listings, damaged records aside")
    parser.add_argument("--seed", type=whole_number(), default=0, help="another seed is another catalogue")
    parser.add_argument("--damaged-share", type=number(0, 1), default=0.02, metavar="SHARE", help="damaged records per listing")
    arguments = parser.parse_args(argv)
    started = time.monotonic()
    manifest = write_catalogue(
        Path(arguments.out), rows=arguments.rows, seed=arguments.seed, damaged_share=arguments.damaged_share
    )
    seconds = round(time.monotonic() - started, 3)
    print_line({"job": "make_sample_catalog", "seconds": seconds, **manifest.as_json()})


if __name__ == "__main__":
    sys.exit(main())
