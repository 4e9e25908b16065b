"""The standard streams of a process."""

import os
import sys


def discard_stdout() -> None:
    """Send the rest of stdout nowhere, after its reader has gone: Python flushes it at the end, and that must not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
