"""The ``m5`` command: one file a command, quick help, and standard streams as they are found."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from m5model import commands
from m5model.cli import main
from m5model.commands.encode import read_lines
from schemas.errors import BadDataError
from schemas.registry import list_members

ROOT = Path(__file__).parents[3]
LIMIT_S = 120

COMMAND = """
import argparse
import sys

from schemas.errors import ConfigurationError

SUMMARY = "greet somebody"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")


def run(arguments: argparse.Namespace) -> None:
    if arguments.name == "nobody":
        raise ConfigurationError("there is nobody to greet")
    sys.stdout.write(f"hello {arguments.name}\\n")
"""


def _m5(*arguments: str, stdin: bytes = b"", shell: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """``m5`` in a process of its own, whose environment has no locale but that given. ``shell``: what follows it in a pipe."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LC_", "LANG", "PYTHONIOENCODING", "PYTHONUTF8"))
    }
    command = [sys.executable, "-c", "import sys; from m5model.cli import main; sys.exit(main())", *arguments]
    if shell:
        command = ["bash", "-c", f'"$@" {shell}', "bash", *command]
    variables = {**kept, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, input=stdin, capture_output=True, env=variables, timeout=LIMIT_S, check=False)


@pytest.fixture
def greet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "greet.py").write_text(COMMAND)
    (tmp_path / "_helper.py").write_text("raise SystemExit('a helper is no command')")
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "m5model.commands.greet", raising=False)


def test_one_more_command_is_one_file(greet: None, capsys) -> None:
    assert main(["greet", "Welt"]) == 0
    assert capsys.readouterr().out == "hello Welt\n"
    assert main(["greet", "nobody"]) == 2
    assert capsys.readouterr().err == "m5 greet: there is nobody to greet\n"
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "greet somebody" in capsys.readouterr().out


def test_every_command_says_what_it_does_and_explains_its_arguments(capsys) -> None:
    for name in list_members(commands):
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        assert f"m5 {name}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["fly"], ["encode"], ["sets"], ["sets", "fly"]], ids=str)
def test_arguments_that_name_no_work_end_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_lines_are_texts_whatever_ends_them_and_a_byte_order_mark_is_none() -> None:
    assert list(read_lines([b"\xef\xbb\xbfred\r\n", "grün\n".encode(), b"last"])) == ["red", "grün", "last"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"gr\xfcn\n", "line 3 of standard input is not UTF-8: byte 2 is 0xfc"),
        (b"\xff\xfer\x00e\x00\n", "line 3 of standard input is not UTF-8: byte 0 is 0xff"),
        ("赤い".encode()[:-1] + b"\n", "line 3 of standard input is not UTF-8"),
        (b"\xed\xa0\xbd\n", "line 3 of standard input is not UTF-8"),  # half of a surrogate pair
        (b"\n", "line 3 of standard input is empty"),
    ],
    ids=["Windows-1252", "UTF-16", "cut", "surrogate", "empty"],
)
def test_a_line_that_is_no_text_is_named(line: bytes, message: str) -> None:
    with pytest.raises(BadDataError, match=message):
        list(read_lines([b"red\n", b"green\n", line]))


def test_bad_bytes_on_standard_input_end_encode_with_3_and_without_output(trained, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("red\ngrün\n".encode("latin-1"))))
    assert main(["encode", str(trained.student_folder)]) == 3
    printed = capsys.readouterr()
    assert (printed.out, printed.err.splitlines()[0]) == (
        "",
        "m5 encode: line 2 of standard input is not UTF-8: byte 2 is 0xfc",
    )


def test_without_texts_and_without_standard_input_there_is_an_error(trained, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert main(["encode", str(trained.student_folder)]) == 2
    assert "standard input is closed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "as_argument"), [({}, True), ({"LC_ALL": "C"}, True), ({"PYTHONIOENCODING": "ascii"}, False)], ids=str
)
def test_texts_of_any_language_come_and_go_as_utf8_in_any_locale(
    trained, environment: dict[str, str], as_argument: bool
) -> None:
    text = "größe 赤い"
    given = {"stdin": b""} if as_argument else {"stdin": f"{text}\n".encode()}
    answer = _m5("encode", str(trained.student_folder), *([text] if as_argument else []), **given, **environment)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(f'{{"text": "{text}", "vector": ['.encode())


def test_a_reader_that_goes_away_ends_the_command_quietly(trained) -> None:
    lines = "\n".join(f"red shirt {i}" for i in range(400)).encode()
    answer = _m5("encode", str(trained.student_folder), stdin=lines, shell='| head -n 1; exit "${PIPESTATUS[0]}"')
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert answer.stdout.count(b"\n") == 1
    answer = _m5("--help", shell='| true; exit "${PIPESTATUS[0]}"')
    assert (answer.returncode, answer.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_said_with_what_to_do(trained) -> None:
    answer = _m5("encode", str(trained.student_folder), "red shirt", shell="> /dev/full")
    assert answer.returncode == 1
    assert b"No space left on device" in answer.stderr and b"free some space" in answer.stderr
    assert b"Traceback" not in answer.stderr and b"Exception ignored" not in answer.stderr
