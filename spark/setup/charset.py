"""Arguments and file names that are not ASCII, where there is no locale (LANG=C, or none at all, as under cron).

A JVM reads its arguments and names files in the charset of the locale. In that of "C" it turns every other character into "?":
work would go to another folder, without a word. `make setup` has LOCALE_LINES read by every Spark command; with another Spark,
what cannot work is refused here.
"""

import codecs
import glob
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.errors import ConfigurationError

# Of conf/spark-env.sh, which Spark's scripts source before they start a JVM.
LOCALE_LINES = """\
# Java reads arguments and names files in the charset of the locale, see spark/setup/charset.py.
if [ "$(locale charmap 2>/dev/null)" != UTF-8 ]; then export LC_ALL=C.UTF-8; fi
"""

NEXT_STEP = "set a locale of UTF-8 and start again: export LC_ALL=C.UTF-8"


def check_arguments(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
    """Raise ConfigurationError for ``arguments`` that are no UTF-8, or that spark-submit's JVM damaged on their way here."""
    broken = [ascii(argument) for argument in arguments if re.search("[\ud800-\udfff]", argument)]
    if broken:
        raise ConfigurationError(f"these arguments are not UTF-8: {', '.join(broken)}", next_step="name files in UTF-8")
    damaged = [argument for argument in arguments if _looks_damaged(argument)]
    if damaged and "PYSPARK_GATEWAY_PORT" in environment and (charset := _charset_of_jvm()):
        raise ConfigurationError(
            f"Java's charset is {charset}, so these arguments did not arrive as they were given: {', '.join(damaged)}",
            next_step=NEXT_STEP,
        )


def check_paths(paths: Iterable[str]) -> None:
    """Raise ConfigurationError where the JVM, which runs, cannot name these files."""
    named = [path for path in paths if not path.isascii()]
    if named and (charset := _charset_of_jvm()):
        raise ConfigurationError(f"Java's charset is {charset}, so it cannot name {', '.join(named)}", next_step=NEXT_STEP)


def _looks_damaged(argument: str) -> bool:
    """Signs of what had no character in the charset. "??" may also be a pattern, and then files fit it."""
    return "\ufffd" in argument or ("??" in argument and not glob.glob(argument))


def _charset_of_jvm() -> str:
    """The charset that the JVM names files in, where that cannot name all of them; else empty."""
    from pyspark import SparkContext

    SparkContext._ensure_initialized()  # type: ignore[attr-defined]
    jvm: Any = SparkContext._jvm
    charset = str(jvm.System.getProperty("sun.jnu.encoding"))
    return "" if codecs.lookup(charset).name == "utf-8" else charset
