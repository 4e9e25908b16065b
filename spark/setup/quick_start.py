"""A quick start for Spark's driver: an archive of the classes that jobs load, parsed and verified once by `make setup`.

The JVM reads such an archive (class-data sharing) only while no folder with files in it stands on its class path, and Spark
puts its conf folder there. So SPARK_ENV, which every Spark command reads first, names an empty conf folder instead and hands
spark-defaults.conf over as the properties file. It steps aside where someone has a configuration of their own: SPARK_CONF_DIR,
another SPARK_HOME, further files in the conf folder. Executors on other machines are not touched.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from schemas.errors import M5Error
from spark.setup.charset import LOCALE_LINES
from spark.setup.java import USER_LINES

DEFAULTS_FILE = "spark-defaults.conf"
ENV_FILE = "spark-env.sh"
FOLDER = "quick_start"  # below Spark's home
TRAINING_SECONDS = 900  # some 60 s on two quiet cores

# For a JVM that ends in a minute: the quick compiler alone, the simplest collector.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# The quick compiler alone has room for 48 MB of code. A JVM that has loaded what all jobs load fills them, and has none left
# for what it links when it writes the archive.
ROOM_FOR_CODE = "-XX:ReservedCodeCacheSize=256m"
# Ten times the JVM's own thresholds: what a small job runs is hardly compiled a second time by the optimising compiler, which
# takes half of its CPU time; the loops of a long job reach them in seconds, and end as fast as ever.
PATIENT = (
    "-XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000 -XX:Tier4CompileThreshold=150000 "
    "-XX:Tier4BackEdgeThreshold=400000"
)
# An archive that does not fit (another heap layout, another class path) is left aside by the JVM; that is no news for a user.
QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off -Xlog:class+path=off"

# Sourced by Spark's bin/load-spark-env.sh, whose arguments are those of the command. The name of the archive carries a hash of
# the JVM and of Spark's jars: after a change of either there is no archive of that name until `make setup` makes it.
SPARK_ENV = f"""\
{LOCALE_LINES}
{USER_LINES}
# Written by `make setup`, see spark/setup/quick_start.py: the driver starts from an archive of its classes.
m5_java="$(readlink -f "$(command -v "${{JAVA_HOME:+$JAVA_HOME/bin/}}java")")"
m5_hash="$({{ echo "$m5_java"; LC_ALL=C ls -lnL --time-style=+%s "${{m5_java%/bin/java}}/lib/server/libjvm.so" \\
  "$SPARK_HOME/jars"; }} 2>/dev/null | cksum | tr -dc 0-9)"
M5_CLASS_ARCHIVE="$SPARK_HOME/{FOLDER}/classes-$m5_hash.jsa"
m5_conf="$(cd "$SPARK_CONF_DIR" && echo *)"
if [ "$1" = org.apache.spark.deploy.SparkSubmit ] && [ "$SPARK_CONF_DIR" = "$SPARK_HOME/conf" ] && [ -r "$M5_CLASS_ARCHIVE" ] &&
  [ "$m5_conf" = "{DEFAULTS_FILE} {ENV_FILE}" ] && [[ " $* " != *" --load-spark-defaults "* ]]; then
  SPARK_CONF_DIR="$SPARK_HOME/{FOLDER}/conf"
  SPARK_SUBMIT_OPTS="-Xshare:auto -XX:SharedArchiveFile=$M5_CLASS_ARCHIVE {QUIET} {PATIENT} ${{SPARK_SUBMIT_OPTS:-}}"
  SPARK_LAUNCHER_OPTS="${{SPARK_LAUNCHER_OPTS:-}} {SHORT_LIVED}"
  shift
  set -- org.apache.spark.deploy.SparkSubmit --properties-file "$SPARK_HOME/conf/{DEFAULTS_FILE}" "$@"
fi
unset m5_java m5_hash m5_conf
"""


def write_environment(home: Path) -> None:
    """Write ENV_FILE and the empty conf folder where they are not there yet.

    Spark's scripts cannot source a file whose path holds a blank: there is none then.
    """
    (home / FOLDER / "conf").mkdir(parents=True, exist_ok=True)
    script = home / "conf" / ENV_FILE
    is_written = script.exists() and script.read_text(encoding="utf-8") == SPARK_ENV
    if not is_written and not any(character.isspace() for character in str(home)):
        script.write_text(SPARK_ENV, encoding="utf-8")


def archive_path(home: Path) -> Path:
    """The archive that the Java and the jars of this moment would use; it need not exist."""
    script = f'. "$SPARK_CONF_DIR/{ENV_FILE}"; printf %s "$M5_CLASS_ARCHIVE"'
    environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_CONF_DIR": str(home / "conf")}
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=True)
    return Path(answer.stdout)


def forget_quick_start(environment: MutableMapping[str, str]) -> None:
    """Take SPARK_ENV's conf folder out of a driver's environment: a Spark command that the driver starts finds its own."""
    if environment.get("SPARK_CONF_DIR", "").endswith(f"/{FOLDER}/conf"):
        for name in ("SPARK_CONF_DIR", "SPARK_ENV_LOADED"):
            environment.pop(name, None)


def make_archive(home: Path, training_run: list[str]) -> Path | None:
    """Run ``training_run`` (a script and its arguments) with spark-submit, and keep the classes that it loads.

    Returns the archive's path, None where this Spark can have none. Nothing is done where it exists. Archives of other
    Javas or jars are removed. Raises M5Error where the run fails.
    """
    if not (home / "conf" / ENV_FILE).exists():
        return None
    archive = archive_path(home)
    if archive.exists():
        return archive
    with tempfile.TemporaryDirectory(dir=home / FOLDER) as scratch:
        fresh = Path(scratch) / archive.name
        _record_classes(home, training_run, fresh)
        for other in (home / FOLDER).glob("*.jsa"):
            other.unlink()
        fresh.replace(archive)  # in one step: a JVM that maps half an archive crashes
    return archive


def _record_classes(home: Path, training_run: list[str], archive: Path) -> None:
    command = [str(home / "bin" / "spark-submit"), "--properties-file", str(home / "conf" / DEFAULTS_FILE), *training_run]
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_CONF_DIR": str(home / FOLDER / "conf"),
        "SPARK_SUBMIT_OPTS": f"-XX:ArchiveClassesAtExit={archive} {SHORT_LIVED} {ROOM_FOR_CODE} {QUIET}",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=TRAINING_SECONDS)
    if answer.returncode or not archive.exists():
        ended = f"ended with exit code {answer.returncode}" if answer.returncode else "left no archive"
        raise M5Error(f"the run that records Spark's classes {ended}:\n{answer.stderr[-2_000:]}")
