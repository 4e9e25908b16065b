"""The commands of ``m5``, one file each: ``m5 NAME`` is NAME.py with SUMMARY, add_arguments(parser) and run(arguments).

``m5 --help`` imports all of them, so what is heavy is imported inside ``run``. A name that begins with ``_`` is no command.
"""
