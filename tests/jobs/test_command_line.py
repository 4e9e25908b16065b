"""What a job says when it cannot start, and that every flag is explained."""

import io
import json
import os
import re
import stat
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import m5model
from jobs import distill_student, embed_catalog, make_sample_catalog, run_demo, sample_training_set, train_model
from jobs.command_line import print_line, run_job
from schemas.errors import ConfigurationError, DamagedFileError
from schemas.workspace import Workspace
from spark.setup.java import USER_LINES, parse_java_version
from spark.setup.requirements import check_python

ROOT = Path(__file__).parents[2]
JOBS = sorted(file.name for file in (ROOT / "jobs").glob("*.py") if "__main__" in file.read_text())


def _run(job: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, str(ROOT / "jobs" / job), *arguments], capture_output=True, text=True, env=variables, check=False
    )


@pytest.mark.parametrize("job", JOBS)
def test_help_explains_every_flag(job: str) -> None:
    answer = _run(job, "--help")
    assert answer.returncode == 0, answer.stderr
    unexplained = re.findall(r"^  (--[a-z-]+)(?: [A-Z\[\]./{},a-z0-9_-]+)*\n(?=  -|\n|\Z)", answer.stdout, flags=re.M)
    assert unexplained == []


@pytest.mark.parametrize("job", ["embed_catalog.py", "publish_features.py", "sample_training_set.py", "train_model.py"])
def test_without_a_workspace_the_exit_code_is_2_and_the_command_that_makes_one_is_named(job: str, tmp_path: Path) -> None:
    answer = _run(job, "--workspace", str(tmp_path / "none"))
    assert answer.returncode == 2
    assert "spark-submit jobs/ingest_catalog.py --feed FEED" in answer.stderr


def test_without_java_the_exit_code_is_2_and_says_what_to_install(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text("")
    answer = _run("ingest_catalog.py", "--feed", str(feed), "--workspace", str(tmp_path), JAVA_HOME=str(tmp_path / "nowhere"))
    assert (answer.returncode, "install a Java runtime 17 or newer" in answer.stderr) == (2, True), answer.stderr


def test_a_java_that_is_too_old_is_named_with_its_version(tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n")
    java.chmod(java.stat().st_mode | stat.S_IEXEC)
    answer = _run("ingest_catalog.py", "--feed", str(java), "--workspace", str(tmp_path), JAVA_HOME=str(tmp_path))
    assert (answer.returncode, "is Java 8, Spark needs 17" in answer.stderr) == (2, True), answer.stderr
    setup = subprocess.run(
        [sys.executable, "-m", "spark.setup.requirements"],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "JAVA_HOME": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert (setup.returncode, "is Java 8, Spark needs 17" in setup.stderr) == (2, True)


def test_java_versions_are_read_in_both_their_forms() -> None:
    assert [parse_java_version(f'openjdk version "{text}"') for text in ("1.8.0_392", "17.0.15", "21")] == [8, 17, 21]
    assert parse_java_version("no such thing") is None


def test_a_user_without_a_name_is_told_before_spark_starts(tmp_path: Path) -> None:
    fake = tmp_path / "id"
    fake.write_text('#!/bin/sh\n[ "$1" = -un ] && exit 1\necho 12345\n')
    fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    answer = subprocess.run(["bash", "-c", USER_LINES], capture_output=True, text=True, env=environment, check=False)
    assert answer.returncode == 2
    assert "user 12345 has no entry in /etc/passwd" in answer.stderr and '"m5:x:12345:12345::/tmp:/bin/sh"' in answer.stderr
    assert subprocess.run(["bash", "-c", USER_LINES], capture_output=True, check=True).stderr == b""


def test_pythons_that_are_not_supported_are_refused() -> None:
    for version in ((3, 10), (3, 14)):
        with pytest.raises(ConfigurationError, match=f"Python 3.{version[1]}"):
            check_python(version)
    check_python((3, 13))


def test_a_workspace_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    answer = _run("ingest_catalog.py", "--feed", str(tmp_path), "--workspace", str(tmp_path / "file"))
    assert (answer.returncode, "cannot write to the workspace" in answer.stderr) == (2, True), answer.stderr


def test_a_bundle_with_one_byte_changed_is_refused(trained, tmp_path: Path) -> None:
    import shutil

    bundle = tmp_path / "bundle"
    shutil.copytree(trained.student_folder, bundle)
    graph = bundle / "onnx" / "model_int8.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    with pytest.raises(DamagedFileError, match="model_int8.onnx has SHA-256"):
        m5model.load(str(bundle))


@pytest.mark.parametrize(
    ("main", "flags"),
    [
        (embed_catalog.main, {"--rows-per-wave": "1e3", "--price-per-hour": "nan", "--max-reject-share": "1.5"}),
        (sample_training_set.main, {"--seed": "9" * 30}),
        (train_model.main, {"--seed": "-1", "--threads": "1000000", "--checkpoint-every": "x", "--steps": "2.0"}),
        (distill_student.main, {"--min-correlation": "inf", "--steps": "true"}),
        (make_sample_catalog.main, {"--rows": "0", "--damaged-share": "-inf", "--seed": ""}),
        (run_demo.main, {"--rows": "-5", "--steps": "many"}),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value.__module__,
)
def test_every_broken_number_is_named_at_once(main, flags: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{flag}={value}" for flag, value in flags.items()]) == 2
    errors = capsys.readouterr().err
    assert [flag for flag, value in flags.items() if f"{flag} is {value!r}, expected a" not in errors] == []


def test_flags_that_mean_nothing_together_are_named_at_once(trained, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = ["--workspace", trained.workspace.root]
    assert (
        train_model.main([*workspace, "--layers", "0,1", "--pairs", "labels", "--vocabulary-size", "x", "--queries", "q"]) == 2
    )
    errors = capsys.readouterr().err
    expected = [f"{flag} needs --init" for flag in ("--layers", "--pairs", "--queries")]
    expected += [f"{flag} needs --steps" for flag in ("--pairs", "--queries")] + ["--vocabulary-size is 'x'"]
    assert [fault for fault in expected if fault not in errors] == []
    assert train_model.main([*workspace, "--init", "starter", "--preset", "tiny", "--layers", "0,-1"]) == 2
    errors = capsys.readouterr().err
    assert "--preset means nothing beside --init" in errors
    assert "--layers is '0,-1', expected whole numbers from 0" in errors


def test_the_demo_begins_with_the_starter_where_it_is_installed() -> None:
    with_it, without = (
        {name: " ".join(command) for name, command in run_demo.demo_stages(Workspace("w"), 9, 5, with_starter=starter).items()}
        for starter in (True, False)
    )
    assert list(with_it) == list(without)
    assert "--init starter" in with_it["train"]
    for flag, name in (("pairs", "demo-duplicates"), ("queries", "demo-queries")):
        assert f"--{flag} {name}" in with_it["train"]
        assert f"--name {name}" in with_it[flag]
        assert with_it[flag] == without[flag]
    assert "--start-from teacher --steps 0" in with_it["distill"]
    assert "--preset tiny --steps 5" in without["train"]


def test_ctrl_c_ends_a_job_quietly_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    def work(argv: object) -> None:
        raise KeyboardInterrupt

    assert (run_job(work, []), capsys.readouterr()) == (130, ("", ""))


def test_a_reader_of_stdout_that_is_gone_is_no_failure() -> None:
    code = "from jobs.command_line import print_line; [print_line({'x': 'x' * 1000}) for _ in range(1000)]"
    command = f'{sys.executable} -c "{code}" | head -c 10 >&2; exit ${{PIPESTATUS[0]}}'
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=variables, check=False)
    assert (answer.returncode, answer.stderr) == (0, '{"x": "xxx')


@pytest.mark.parametrize("charset", ["ascii", "latin-1", "cp932", "utf-8"])
def test_the_report_line_is_json_in_every_charset(charset: str) -> None:
    code = "from jobs.command_line import print_line; print_line({'path': '/größe/ほげ/😀'})"
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": charset}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, env=variables, check=True)
    assert json.loads(answer.stdout.decode(charset)) == {"path": "/größe/ほげ/😀"}


def test_an_error_nobody_foresaw_keeps_its_stack_trace() -> None:
    def work(argv: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_job(work, [])


def test_the_report_line_goes_into_a_stdout_that_names_no_charset() -> None:
    """As in a notebook, or under contextlib.redirect_stdout."""
    with redirect_stdout(io.StringIO()) as printed:
        print_line({"path": "/größe"})
    assert json.loads(printed.getvalue()) == {"path": "/größe"}
