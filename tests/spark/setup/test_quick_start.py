"""The quick start's script, sourced by bash as Spark's commands source it, in a Spark home made of empty files."""

import os
import subprocess
from pathlib import Path

import pytest

from spark.setup.quick_start import archive_path, forget_quick_start, make_archive, write_environment

SUBMIT = "org.apache.spark.deploy.SparkSubmit"
SOURCE = '. "$SPARK_CONF_DIR/spark-env.sh"; printf "%s\\n" "$SPARK_CONF_DIR" "$SPARK_SUBMIT_OPTS" "$*"'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Spark with one jar, a Java, and an archive made for both."""
    java = tmp_path / "java"
    for file in (java / "bin" / "java", java / "lib" / "server" / "libjvm.so", tmp_path / "spark" / "jars" / "a.jar"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    (java / "bin" / "java").chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(java))
    for name in ("SPARK_CONF_DIR", "SPARK_ENV_LOADED", "SPARK_SUBMIT_OPTS", "SPARK_LAUNCHER_OPTS"):
        monkeypatch.delenv(name, raising=False)
    spark = tmp_path / "spark"
    (spark / "conf").mkdir()
    (spark / "conf" / "spark-defaults.conf").write_text("")
    write_environment(spark)
    archive_path(spark).write_text("")
    return spark


def _source(home: Path, *arguments: str, **variables: str) -> tuple[str, str, str]:
    """Conf folder, JVM options and arguments as Spark's command goes on with them."""
    environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_CONF_DIR": str(home / "conf"), **variables}
    command = ["bash", "-c", SOURCE, "spark-class", *(arguments or (SUBMIT, "jobs/x.py"))]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert answer.stderr == ""
    conf, options, rest = answer.stdout.splitlines()
    return conf, options, rest


def _is_quick(home: Path, *arguments: str) -> bool:
    conf, options, rest = _source(home, *arguments)
    untouched = (conf, options, rest) == (str(home / "conf"), "", " ".join(arguments or (SUBMIT, "jobs/x.py")))
    assert untouched != ("SharedArchiveFile" in options)
    return not untouched


def test_a_job_starts_from_the_archive_with_an_empty_conf_folder_and_the_defaults_as_its_properties_file(home: Path) -> None:
    conf, options, rest = _source(home, SUBMIT, "--name", "n", "jobs/x.py", SPARK_SUBMIT_OPTS="-Dmine=1")
    assert list(Path(conf).iterdir()) == []
    assert options.endswith(" -Dmine=1") and f"-XX:SharedArchiveFile={archive_path(home)}" in options
    assert rest == f"{SUBMIT} --properties-file {home}/conf/spark-defaults.conf --name n jobs/x.py"


@pytest.mark.parametrize("arguments", [("org.apache.spark.deploy.worker.Worker",), (SUBMIT, "--load-spark-defaults", "x.py")])
def test_other_commands_and_defaults_asked_for_by_name_are_left_alone(home: Path, arguments: tuple[str, ...]) -> None:
    assert not _is_quick(home, *arguments)


@pytest.mark.parametrize("changed", ["spark/jars/a.jar", "spark/jars/b.jar", "java/lib/server/libjvm.so"])
def test_a_changed_jar_a_further_jar_or_another_java_starts_without_the_archive(home: Path, changed: str) -> None:
    assert _is_quick(home)
    (home.parent / changed).write_text("changed")
    assert not _is_quick(home)


def test_a_configuration_of_ones_own_in_the_conf_folder_is_used_as_before(home: Path) -> None:
    (home / "conf" / "log4j2.properties").write_text("")
    assert not _is_quick(home)


def test_a_home_whose_path_holds_a_blank_has_no_script_that_spark_could_not_source(tmp_path: Path) -> None:
    home = tmp_path / "my spark"
    (home / "conf").mkdir(parents=True)
    write_environment(home)
    assert not (home / "conf" / "spark-env.sh").exists()
    assert make_archive(home, ["x.py"]) is None


def test_an_archive_that_is_there_is_not_made_again(home: Path) -> None:
    assert make_archive(home, ["there is no such script"]) == archive_path(home)


def test_a_driver_forgets_the_conf_folder_of_the_quick_start_and_keeps_any_other(home: Path) -> None:
    quick = {"SPARK_CONF_DIR": str(home / "quick_start" / "conf"), "SPARK_ENV_LOADED": "1", "HOME": "/"}
    forget_quick_start(quick)
    assert quick == {"HOME": "/"}
    own = {"SPARK_CONF_DIR": "/etc/spark", "SPARK_ENV_LOADED": "1"}
    forget_quick_start(own)
    assert own == {"SPARK_CONF_DIR": "/etc/spark", "SPARK_ENV_LOADED": "1"}
