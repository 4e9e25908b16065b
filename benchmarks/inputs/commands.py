"""Starts the toolkit's command line with the interpreter that runs a benchmark."""

import sys

M5 = [sys.executable, "-c", "import sys; from m5model.cli import main; sys.exit(main())"]
