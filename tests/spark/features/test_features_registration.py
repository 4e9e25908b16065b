"""Views in a catalog: on Hive's embedded metastore, and on one in PostgreSQL where it is installed."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from pyspark.sql import SparkSession

from benchmarks.inputs.postgresql import postgresql
from jobs.publish_features import main
from schemas.errors import ConfigurationError
from spark.features.registration import Registry
from spark.setup.quick_start import SHORT_LIVED
from tests.m5model.features.views import BRANDS, OLD_SPACE, SPACE

EMBEDDED = {"javax.jdo.option.ConnectionURL": "jdbc:derby:memory:m5;create=true"}
# Where Debian's libpostgresql-jdbc-java puts the driver.
DRIVER = os.environ.get("M5_POSTGRESQL_JAR", "/usr/share/java/postgresql.jar")


def _register(folder: Path, class_path: str = "", **settings: str) -> dict[str, Any]:
    """What the catalog knows after views were registered in a session of its own."""
    given = {f"spark.hadoop.{name}": value for name, value in settings.items()}
    given["spark.sql.warehouse.dir"] = str(folder / "warehouse")
    submit = f"--driver-class-path {class_path} pyspark-shell" if class_path else "pyspark-shell"
    command = [sys.executable, "-m", "tests.spark.features.registering", str(folder), *(f"{k}={v}" for k, v in given.items())]
    environment = {**os.environ, "PYSPARK_SUBMIT_ARGS": submit, "SPARK_SUBMIT_OPTS": SHORT_LIVED}
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    return found


def _check(found: dict[str, Any]) -> None:
    """Registered three times, the second and third time at another version."""
    assert found["names"] == [{"brands": "spark_catalog.partners.brands"}] * 3
    tags = {"key": "locale,item_id", "owner": "brand-classification"}
    assert found["tags"] == [
        {**tags, "space_id": OLD_SPACE, "version": "0"},
        {**tags, "space_id": SPACE, "version": "1"},
    ]
    assert found["rows"] == 3
    assert BRANDS.description in found["entry"] and "Type: EXTERNAL" in found["entry"]
    assert "-- score: float" in found["entry"]
    assert found["comments"] == ["declared", "a vector"]
    assert "is registered already" in found["refused"] and "give another --database" in found["refused"]
    assert found["version"] == 1, "the table's own log is not written to"


def test_views_are_registered_in_a_metastore_and_again_as_they_change(tmp_path: Path) -> None:
    """In PostgreSQL where it is installed, else in Hive's embedded one: M5 gives both the same statements."""
    with ExitStack() as stack:
        try:
            uri = stack.enter_context(postgresql()) if Path(DRIVER).exists() else None
        except FileNotFoundError:
            uri = None
        _check(_register(tmp_path, DRIVER, **_metastore(uri)) if uri else _register(tmp_path, **EMBEDDED))


def _metastore(uri: str) -> dict[str, str]:
    parts = urlparse(uri)
    return {
        "javax.jdo.option.ConnectionURL": f"jdbc:postgresql://{parts.hostname}:{parts.port}{parts.path}",
        "javax.jdo.option.ConnectionDriverName": "org.postgresql.Driver",
        "javax.jdo.option.ConnectionUserName": str(parts.username),
        "javax.jdo.option.ConnectionPassword": str(parts.password),
        "datanucleus.schema.autoCreateAll": "true",
        "hive.metastore.schema.verification": "false",
    }


def test_a_catalog_that_ends_with_the_session_is_refused(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spark.features.targets.newest_source", lambda *_: None)
    monkeypatch.setattr("spark.features.targets.plan_publication", lambda *_, **__: type("Publication", (), {"stale": ()})())
    assert main(["--workspace", str(tmp_path), "--space", SPACE, "--view", "ctr", "--database", "partners"]) == 2
    assert "catalogImplementation=hive" in capsys.readouterr().err


def test_names_of_catalogs_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigurationError, match="expected letters, digits and _"):
        Registry(database="a`b")
    assert main(["--workspace", str(tmp_path), "--catalog", "unity"]) == 2
    assert "--catalog needs --database" in capsys.readouterr().err
