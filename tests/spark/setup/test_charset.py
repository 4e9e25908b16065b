"""What a JVM without a locale cannot name is refused, and nothing else is."""

import os
import subprocess
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from spark.setup import charset

SUBMITTED = {"PYSPARK_GATEWAY_PORT": "1"}


@pytest.fixture
def ascii_jvm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charset, "_charset_of_jvm", lambda: "ANSI_X3.4-1968")


@pytest.mark.parametrize("argument", ["/data/l??ng", "feeds/gr\ufffd\ufffde.csv", "/nowhere/??"])
def test_arguments_that_a_jvm_without_a_locale_damaged_are_named(ascii_jvm: None, argument: str) -> None:
    with pytest.raises(ConfigurationError, match="ANSI_X3.4-1968(.|\n)*LC_ALL=C.UTF-8"):
        charset.check_arguments(["--workspace", argument], SUBMITTED)


def test_patterns_that_files_fit_and_single_marks_are_no_damage(ascii_jvm: None, tmp_path: Path) -> None:
    (tmp_path / "day-01.jsonl").touch()
    charset.check_arguments(["--feed", f"{tmp_path}/day-??.jsonl", f"{tmp_path}/day-?.jsonl", "läng"], SUBMITTED)


def test_arguments_that_are_not_utf_8_are_refused_however_the_job_was_started() -> None:
    with pytest.raises(ConfigurationError, match="not UTF-8: 'l.udce4ng'"):
        charset.check_arguments(["--workspace", "l\udce4ng"], {})


def test_without_spark_submit_arguments_come_from_the_shell_as_they_are(ascii_jvm: None) -> None:
    charset.check_arguments(["/data/l??ng"], {})


@pytest.mark.parametrize("locale", [{}, {"LANG": "C"}, {"LC_ALL": "POSIX"}, {"LANG": "xx_YY"}, {"LC_ALL": "C.UTF-8"}], ids=str)
def test_spark_commands_get_a_locale_of_utf_8(locale: dict[str, str]) -> None:
    script = f"{charset.LOCALE_LINES}\nlocale charmap"
    environment = {"PATH": os.environ["PATH"], **locale}
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert answer.stdout.strip() == "UTF-8"


def test_paths_that_java_cannot_name_are_refused_before_spark_touches_them(ascii_jvm: None) -> None:
    charset.check_paths(["/data/plain"])
    with pytest.raises(ConfigurationError, match="cannot name /data/läng"):
        charset.check_paths(["/data/plain", "/data/läng"])
