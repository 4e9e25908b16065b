"""Writes are whole or not at all; copies from elsewhere are checked; a damaged cache is made again."""

import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from m5model.files import caches, copies, storage
from m5model.files.checksums import find_damage, sha256_of, verify_files
from schemas.errors import ConfigurationError, DamagedFileError, ExitCode, explain_os_error

FULL = OSError(errno.ENOSPC, "No space left on device")


def _everything(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*"))


def test_a_write_that_fails_leaves_the_old_content_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    storage.write_bytes(str(target), b"old")
    with pytest.raises(OSError, match="No space"), storage.open_output(str(target)) as stream:
        stream.write(b"half of the ne")
        raise FULL
    assert (target.read_bytes(), _everything(tmp_path)) == (b"old", ["a.json"])


@pytest.mark.parametrize("write", [storage.write_bytes, storage.write_new])
def test_a_disk_that_is_full_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write) -> None:
    def refuse(*_: object) -> None:
        raise FULL

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="No space"):
        write(str(tmp_path / "a.json"), b"new")
    assert _everything(tmp_path) == []
    monkeypatch.undo()
    write(str(tmp_path / "a.json"), b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("number", "code", "advice"),
    [
        (errno.ENOSPC, 1, "free some space"),
        (errno.EROFS, 2, "may read and write"),
        (errno.EACCES, 2, "permissions"),
        (errno.EIO, 1, ""),
    ],
)
def test_what_the_operating_system_refuses_is_said_with_a_remedy_where_there_is_one(
    number: int, code: int, advice: str
) -> None:
    error = explain_os_error(OSError(number, os.strerror(number), "/disk/a.json"))
    assert (error.exit_code, advice in error.next_step, "/disk/a.json" in str(error)) == (code, True, True)


def test_only_a_whole_folder_at_the_target_means_that_another_was_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def staged(name: str) -> Path:
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(name)
        return tmp_path / name

    def lose_the_race(self: Path, target: str) -> None:
        (Path(target)).mkdir(parents=True)
        (Path(target) / "manifest.json").write_text("another")
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    def refuse(self: Path, target: str) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    assert storage.place_folder(staged("first"), str(tmp_path / "bundles" / "a"))
    assert not storage.place_folder(staged("again"), str(tmp_path / "bundles" / "a"))
    monkeypatch.setattr(Path, "rename", lose_the_race)
    assert not storage.place_folder(staged("late"), str(tmp_path / "bundles" / "b"))
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="cross-device"):
        storage.place_folder(staged("refused"), str(tmp_path / "bundles" / "c"))


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, str]]:
    """A folder of two files, some of them large, which storage takes for a remote one: its path and hashes."""
    contents = {"model.onnx": os.urandom(storage.BLOCK_BYTES + 7), "onnx/a.json": b"{}"}
    for name, content in contents.items():
        storage.write_bytes(f"{tmp_path}/remote/{name}", content)
    monkeypatch.setattr(storage, "is_remote", lambda path: path.startswith("far://"))
    opened = storage.open_input
    monkeypatch.setattr(storage, "open_input", lambda path: opened(path.replace("far://bundle", f"{tmp_path}/remote")))
    return tmp_path / "remote", {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def test_a_copy_is_made_once_and_a_damaged_one_is_made_again(tmp_path: Path, remote, monkeypatch: pytest.MonkeyPatch) -> None:
    files = remote[1]
    copy = copies.local_copy("far://bundle", files, tmp_path / "cache")
    assert find_damage(copy, files) == ""
    monkeypatch.setattr(copies, "_fetch", lambda *_: pytest.fail("a whole copy is not fetched again"))
    assert copies.local_copy("far://bundle", files, tmp_path / "cache") == copy
    monkeypatch.undo()


@pytest.mark.parametrize("damage", ["changed", "shorter", "gone"])
def test_a_damaged_copy_is_never_used(tmp_path: Path, remote, damage: str) -> None:
    files = remote[1]
    copy = copies.local_copy("far://bundle", files, tmp_path / "cache")
    file = copy / "model.onnx"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content if damage == "changed" else content[:100])
    if damage == "gone":
        file.unlink()
    assert copies.local_copy("far://bundle", files, tmp_path / "cache") == copy
    assert find_damage(copy, files) == ""


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_remote_file_that_is_not_as_the_manifest_says_is_damage_and_leaves_no_copy(
    tmp_path: Path, remote, damage: str
) -> None:
    file = remote[0] / "model.onnx"
    file.unlink() if damage == "gone" else file.write_bytes(b"other")
    with pytest.raises(DamagedFileError, match="far://bundle/model.onnx is ") as error:
        copies.local_copy("far://bundle", remote[1], tmp_path / "cache")
    assert error.value.exit_code == ExitCode.BAD_DATA
    assert _everything(tmp_path / "cache") == []


def test_two_processes_may_make_a_copy_at_once_but_a_refused_rename_is_an_error(
    tmp_path: Path, remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = remote[1]
    first = copies.local_copy("far://bundle", files, tmp_path / "cache")
    copies._fetch("far://bundle", files, first)  # as the slower of two
    assert _everything(tmp_path / "cache") == sorted([first.name, *(f"{first.name}/{n}" for n in (*files, "onnx"))])

    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="Permission denied"):
        copies.local_copy("far://bundle", files, tmp_path / "other cache")


def test_a_manifest_cannot_make_a_copy_write_outside_its_folder(tmp_path: Path, remote) -> None:
    for name in ("../escaped", "/tmp/escaped", "a/../../escaped"):
        with pytest.raises(DamagedFileError, match="lists the file"):
            copies.local_copy("far://bundle", {name: "0" * 64}, tmp_path / "cache")
        with pytest.raises(DamagedFileError, match="lists the file"):
            verify_files(tmp_path, {name: "0" * 64}, "it")


def test_files_of_any_size_have_the_hash_of_their_bytes(tmp_path: Path) -> None:
    for size in (0, 1, storage.BLOCK_BYTES, storage.BLOCK_BYTES + 1):
        content = os.urandom(size)
        (tmp_path / "file").write_bytes(content)
        assert sha256_of(str(tmp_path / "file")) == hashlib.sha256(content).hexdigest()


def test_the_cache_is_where_the_variable_says_else_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M5_CACHE", str(tmp_path / "named"))
    assert caches.cache_folder() == tmp_path / "named"
    monkeypatch.delenv("M5_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert caches.cache_folder() == tmp_path / "home" / ".cache" / "m5"


def test_a_named_cache_that_cannot_be_made_is_refused_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("M5_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ConfigurationError, match="M5_CACHE is .*\n.*What to do"):
        caches.cache_folder()


@pytest.mark.parametrize("home", ["cannot be made", "unknown"])
def test_without_a_home_the_cache_is_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("M5_CACHE", raising=False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(Path, "home", unknown if home == "unknown" else lambda: tmp_path / "file")
    folder = caches.cache_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert caches.cache_folder() == folder


@pytest.mark.parametrize("trap", ["open to all", "link", "file"])
def test_a_temporary_folder_that_others_could_have_made_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    usual = tmp_path / f"m5-cache-{os.getuid()}"
    (tmp_path / "elsewhere").mkdir()
    match trap:
        case "link":
            usual.symlink_to(tmp_path / "elsewhere")
        case "file":
            usual.write_text("")
        case _:
            usual.mkdir()
            usual.chmod(0o777)
    folder = caches._temporary_folder()
    assert folder != usual
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become a user without an entry")
def test_a_user_without_a_home_and_without_an_entry_in_the_user_database_has_a_cache(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        try:
            os.environ.pop("HOME", None)
            os.environ.pop("M5_CACHE", None)
            os.setuid(54_321)
            folder = caches.cache_folder()
            os._exit(0 if folder.stat().st_uid == 54_321 and os.access(folder, os.W_OK) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
