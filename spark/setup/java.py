"""Is there a Java that Spark can run on? Asked before Spark is started, because Spark's own answer is hard to read."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from schemas.errors import ConfigurationError

MINIMUM_JAVA = 17  # Spark 4 does not start on older ones

# Of conf/spark-env.sh: Hadoop asks the system for the user's name, and ends with a stack trace where there is none.
USER_LINES = """\
if ! id -un >/dev/null 2>&1; then
  echo "error: user $(id -u) has no entry in /etc/passwd, and Spark needs the user's name" >&2
  echo "  What to do: add one, e.g. echo \\"m5:x:$(id -u):$(id -g)::/tmp:/bin/sh\\" >> /etc/passwd in the container's image" >&2
  exit 2
fi
"""

NEXT_STEP = (
    f"install a Java runtime {MINIMUM_JAVA} or newer (Debian: apt-get install openjdk-17-jre-headless) or set JAVA_HOME to one"
)


def check_java() -> int:
    """Major version of the Java that Spark will use. Raises ConfigurationError where there is none or it is too old."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if not java or not Path(java).exists():
        where = f"JAVA_HOME={home} has no bin/java" if home else "there is no java on the PATH"
        raise ConfigurationError(f"Spark needs Java, and {where}", next_step=NEXT_STEP)
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = parse_java_version(answer.stderr + answer.stdout)
    if version is None:
        raise ConfigurationError(f"{java} -version says nothing that can be read: {answer.stderr[:200]!r}", next_step=NEXT_STEP)
    if version < MINIMUM_JAVA:
        raise ConfigurationError(f"{java} is Java {version}, Spark needs {MINIMUM_JAVA} or newer", next_step=NEXT_STEP)
    return version


def parse_java_version(text: str) -> int | None:
    """Major version out of what ``java -version`` prints: "1.8.0_392" is 8, "17.0.15" is 17."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if not found:
        return None
    major, minor = int(found[1]), int(found[2] or 0)
    return minor if major == 1 else major
