"""Put the Delta and S3 jars into the Spark of this environment, and settings for one machine beside them.

    python -m spark.setup.installation

Done once by `make setup`, with Spark's own resolver. After it a bare `spark-submit jobs/X.py` works, offline. A cluster
brings its own Spark: give it PACKAGES with --packages instead.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyspark

from schemas.errors import ConfigurationError, M5Error
from spark.setup.session import LOCAL_MASTER, SETTINGS

PACKAGES = (
    "io.delta:delta-spark_4.2_2.13:4.4.0",
    "org.apache.hadoop:hadoop-aws:3.5.0",
    # The parts of the AWS SDK that S3A uses, instead of its bundle of 686 MB.
    "software.amazon.awssdk:s3-transfer-manager:2.35.4",
    "software.amazon.awssdk:sts:2.35.4",
    "software.amazon.awssdk:apache-client:2.35.4",
)
EXCLUDED = (
    "software.amazon.awssdk:bundle",
    "org.apache.hadoop:hadoop-client-runtime",
    "org.apache.hadoop:hadoop-client-api",
    "software.amazon.encryption.s3:amazon-s3-encryption-client-java",
    "org.apache.logging.log4j:log4j-slf4j2-impl",
)

# For one machine: small tables, few cores. A cluster's own spark-defaults.conf decides there.
LOCAL_SETTINGS = {
    "spark.master": LOCAL_MASTER,
    "spark.driver.memory": "4g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "8",
    "spark.databricks.delta.snapshotPartitions": "2",
}


def main() -> int:
    home = Path(pyspark.__file__).parent
    try:
        with tempfile.TemporaryDirectory() as scratch:
            fetched = fetch_jars(home, Path(scratch))
            added = add_missing_jars(fetched, home / "jars")
    except M5Error as error:
        sys.stderr.write(f"setup: {error}\n")
        return int(error.exit_code)
    write_defaults(home / "conf" / "spark-defaults.conf")
    sys.stderr.write(f"setup: {len(added)} jars added to {home / 'jars'}\n")
    return 0


def fetch_jars(home: Path, scratch: Path) -> list[Path]:
    """Resolve PACKAGES with Spark's resolver; the jars as it filed them. Raises ConfigurationError with its last words."""
    script = scratch / "resolved.py"
    script.write_text("")
    command = [str(home / "bin" / "spark-submit"), "--master", "local[1]", "--packages", ",".join(PACKAGES)]
    command += ["--exclude-packages", ",".join(EXCLUDED), "--conf", f"spark.jars.ivy={scratch / 'ivy'}", str(script)]
    # A home of its own: a half-filled ~/.m2 (poms without jars) makes the resolver fail.
    options = f"{os.environ.get('SPARK_SUBMIT_OPTS', '')} -Duser.home={scratch}".strip()
    environment = {**os.environ, "SPARK_SUBMIT_OPTS": options, "PYSPARK_PYTHON": sys.executable, "SPARK_HOME": str(home)}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    jars = sorted((scratch / "ivy" / "jars").glob("*.jar"))
    if answer.returncode or not any("delta-spark" in jar.name for jar in jars):
        raise ConfigurationError(
            f"Spark could not fetch {', '.join(PACKAGES)}:\n{answer.stderr[-2_000:]}",
            next_step="check the network; behind a proxy set SPARK_SUBMIT_OPTS=-Dhttps.proxyHost=…, with an own repository "
            "DEFAULT_ARTIFACT_REPOSITORY=URL; then run `make setup` again",
        )
    return jars


def add_missing_jars(fetched: list[Path], jars: Path) -> list[str]:
    """Copy what Spark does not ship itself; its own version of a library is kept. Returns the names added."""
    shipped = {artifact_of(jar.name) for jar in jars.glob("*.jar")}
    added = []
    for jar in fetched:
        name = jar.name.partition("_")[2]  # the resolver files jars as GROUP_ARTIFACT-VERSION.jar
        if artifact_of(name) not in shipped:
            shutil.copy(jar, jars / name)
            added.append(name)
    return added


def artifact_of(jar_name: str) -> str:
    """``delta-storage-4.4.0.jar`` → ``delta-storage``."""
    return re.sub(r"-\d.*$", "", jar_name.removesuffix(".jar"))


def write_defaults(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name} {value}\n" for name, value in {**SETTINGS, **LOCAL_SETTINGS}.items()))


if __name__ == "__main__":
    sys.exit(main())
