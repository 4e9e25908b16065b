"""A folder takes another's place: a reader finds the old one or the new one, however often it looks."""

import errno
import shutil
import threading
from pathlib import Path

import pytest

from m5model.files import exchange
from m5model.files.exchange import replace_folder


def _folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "page").write_text(content)
    return path


def test_a_reader_misses_nothing_while_folders_take_each_others_place(tmp_path: Path) -> None:
    target = _folder(tmp_path / "target", "0")
    if not exchange._exchange(_folder(tmp_path / "other", "0"), target):
        pytest.skip("names cannot be exchanged on this filesystem")
    shutil.rmtree(tmp_path / "other")
    is_done, missed, reads = threading.Event(), [], []

    def read() -> None:
        while not is_done.is_set():
            try:
                reads.append(target.stat().st_ino)
            except OSError as error:
                missed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 400):
        replace_folder(_folder(tmp_path / f"finished-{number}", str(number)), target)
    is_done.set()
    reader.join()
    assert (missed, (target / "page").read_text()) == ([], "399")
    assert len(set(reads)) > 1
    assert [file.name for file in tmp_path.iterdir()] == ["target"]


def test_where_names_cannot_be_exchanged_the_new_folder_comes_all_the_same(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(exchange, "_exchange", lambda *_: False)
    target = _folder(tmp_path / "target", "old")
    replace_folder(_folder(tmp_path / "finished", "new"), target)
    assert (target / "page").read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["target"]


def test_a_first_folder_needs_no_other(tmp_path: Path) -> None:
    replace_folder(_folder(tmp_path / "finished", "new"), tmp_path / "deep" / "target")
    assert (tmp_path / "deep" / "target" / "page").read_text() == "new"


def test_a_refusal_of_the_system_is_an_error_and_the_old_folder_stays(tmp_path: Path) -> None:
    target = _folder(tmp_path / "target", "old")
    with pytest.raises(OSError) as refused:
        replace_folder(tmp_path / "not-there", target)
    assert refused.value.errno == errno.ENOENT
    assert (target / "page").read_text() == "old"
