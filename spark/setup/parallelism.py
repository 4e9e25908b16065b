"""How many cores an executor has, as far as the configuration says."""

import os
import re

from pyspark import SparkConf


def executor_cores(conf: SparkConf) -> int | None:
    """Cores of one executor; None where only the cluster knows (then set ``spark.executor.cores``)."""
    master = conf.get("spark.master") or "local[*]"
    local = re.fullmatch(r"local(?:\[(\*|\d+)(?:,\s*\d+)?\])?", master)
    if local:
        return len(os.sched_getaffinity(0)) if local[1] == "*" else int(local[1] or 1)
    cores = conf.get("spark.executor.cores")
    return int(cores) if cores else None
