"""The least that a Spark job with Delta tables does: a session, a table read and counted, two appends.

spark-submit benchmarks/inputs/bare_spark.py TABLE OUT
"""

import sys

from pyspark.sql import SparkSession


def main() -> int:
    table, out = sys.argv[1:]
    spark = SparkSession.builder.appName("bare").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    rows = spark.read.format("delta").load(table)
    rows.count()
    for _ in range(2):
        rows.write.format("delta").mode("append").save(out)
    spark.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
