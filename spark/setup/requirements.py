"""Does this machine have what `make setup` cannot install? Standard library only: it runs before anything is installed.

python3 -m spark.setup.requirements
"""

import sys

from schemas.errors import ConfigurationError
from spark.setup.java import check_java

MINIMUM_PYTHON = (3, 11)
NEWER_THAN_TESTED = (3, 14)


def check_python(version: tuple[int, int]) -> None:
    """Raise ConfigurationError for a Python that the pinned packages do not support."""
    if not MINIMUM_PYTHON <= version < NEWER_THAN_TESTED:
        raise ConfigurationError(
            f"this is Python {version[0]}.{version[1]}, M5 needs 3.11, 3.12 or 3.13",
            next_step="run again with one of these, e.g. `make setup PYTHON=python3.12`",
        )


def main() -> int:
    try:
        check_python(sys.version_info[:2])
        check_java()
    except ConfigurationError as error:
        sys.stderr.write(f"setup: {error}\n")
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
