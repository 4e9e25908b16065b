"""One writer at a time on object storage. The files lie on local disk here; tests/jobs/test_on_s3.py has a real server."""

import json
from pathlib import Path

import pytest

from m5model.files import lease as lease_module
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
