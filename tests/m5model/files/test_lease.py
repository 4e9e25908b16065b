"""One writer at a time on object storage. The files lie on local disk here; tests/jobs/test_on_s3.py has a real server."""

import json
import time
from pathlib import Path

import pytest

from m5model.files import lease as lease_module
from m5model.files import storage
from m5model.files.lease import Lease
from schemas.errors import ConfigurationError


def test_a_second_run_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    with (
        Lease(str(tmp_path), "first"),
        pytest.raises(ConfigurationError, match="is being written by first"),
        Lease(str(tmp_path), "second"),
    ):
        pass


def test_a_released_lease_can_be_taken_at_once(tmp_path: Path) -> None:
    with Lease(str(tmp_path), "first"):
        pass
    with Lease(str(tmp_path), "second") as lease:
        lease.check()


@pytest.mark.parametrize("change", [{"renewed_at": 0.0}, {"process": 2**30}], ids=["silent for long", "its process is gone"])
def test_the_lease_of_a_killed_run_is_taken_over_and_the_old_holder_notices(tmp_path: Path, change: dict) -> None:
    old = Lease(str(tmp_path), "killed").__enter__()
    file = tmp_path / "00000001.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with Lease(str(tmp_path), "second"), pytest.raises(ConfigurationError, match="second"):
        old.check()
    old._stop.set()


def test_a_holder_renews_its_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "LEASE_SECONDS", 0.5)
    with Lease(str(tmp_path), "first") as lease:
        lease._stop.wait(1.5)
        with pytest.raises(ConfigurationError), Lease(str(tmp_path), "second"):
            pass


def _wait_until(holds, limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_renewal_that_fails_is_tried_again_and_then_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "LEASE_SECONDS", 2.0)
    write, failures = storage.write_bytes, []

    def fail_twice(path: str, data: bytes) -> None:
        if len(failures) < 2:
            failures.append(path)
            raise OSError("connection reset")
        write(path, data)

    with Lease(str(tmp_path), "first") as lease:
        monkeypatch.setattr(storage, "write_bytes", fail_twice)
        _wait_until(lambda: lease._failure is not None)
        renewed = lease._renewed
        _wait_until(lambda: lease._renewed > renewed)
        lease.check()
        assert (len(failures), lease._failure) == (2, None)


@pytest.mark.parametrize("what", ["storage refuses", "the thread is gone", "the process was halted"])
def test_a_lease_that_could_not_be_renewed_for_too_long_stops_the_holder_before_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(lease_module, "LEASE_SECONDS", 0.4)

    def refuse(path: str, data: bytes) -> None:
        raise OSError("bucket is read-only")

    with Lease(str(tmp_path), "first") as lease:
        if what == "storage refuses":
            monkeypatch.setattr(storage, "write_bytes", refuse)
            _wait_until(lambda: time.monotonic() - lease._renewed > 0.4)
        elif what == "the thread is gone":
            lease._stop.set()
            lease._thread.join()
            _wait_until(lambda: time.monotonic() - lease._renewed > 0.4)
        else:
            lease._renewed -= 3_600
        with pytest.raises(ConfigurationError, match="the lease of first on .* was lost: it could not be renewed") as error:
            lease.check()
    assert error.value.exit_code == 2
    assert ("bucket is read-only" in str(error.value)) == (what == "storage refuses")


def test_a_lease_whose_files_cannot_be_read_counts_as_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> list[str]:
        raise OSError("no route to host")

    with Lease(str(tmp_path), "first") as lease:
        monkeypatch.setattr(storage, "list_files", refuse)
        with pytest.raises(ConfigurationError, match="no route to host"):
            lease.check()


def test_a_lease_that_another_took_and_gave_back_is_lost_all_the_same(tmp_path: Path) -> None:
    with Lease(str(tmp_path), "first") as lease:
        file = tmp_path / "00000001.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"renewed_at": 0.0}))
        with Lease(str(tmp_path), "second"):
            pass
        with pytest.raises(ConfigurationError, match="second .* has taken over"):
            lease.check()


def test_a_release_that_fails_hides_neither_the_work_nor_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, data: bytes) -> None:
        raise OSError("gone")

    with pytest.raises(ValueError, match="the work"), Lease(str(tmp_path / "a"), "first"):
        monkeypatch.setattr(storage, "write_bytes", refuse)
        raise ValueError("the work")
    monkeypatch.undo()
    with Lease(str(tmp_path / "b"), "first"):
        monkeypatch.setattr(storage, "write_bytes", refuse)
