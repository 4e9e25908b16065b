"""Finds the version of a Delta table that last changed rows, read from the files of its log: no Spark job."""

from m5model.files.delta_log import list_versions, read_commit
from spark.delta.missing import missing_table


def last_change(path: str, *, made_by: str) -> int:
    """The newest version whose commit changed rows. Later ones are maintenance (VACUUM, OPTIMIZE, properties).

    That is the version to name what is made from the table by: the same rows keep the same name. Where no such commit is left
    in the log, it is the newest version. Raises ConfigurationError naming the command ``made_by`` where there is no table.
    """
    versions = list_versions(path)[::-1]
    if not versions:
        raise missing_table(path, made_by)
    return next((version for version in versions if version == 0 or read_commit(path, version).changes_rows), versions[0])
