from __future__ import annotations

import os
import threading

import pytest

from cage_lightning.data import files
from cage_lightning.errors import DataError


@pytest.fixture(params=["fast", "slow"])
def _disk(request, monkeypatch):
    monkeypatch.setattr(files, "SLOW_S", {"fast": 60.0, "slow": -1.0}[request.param])


@pytest.mark.usefixtures("_disk")
def test_values_come_back_in_order():
    names = [str(i) for i in range(3 * files.CHUNK + 1)]
    assert files.map_files(int, names, "") == list(range(len(names)))
    assert files.map_files(int, [], "") == []


@pytest.mark.usefixtures("_disk")
def test_the_error_of_the_first_name_is_raised():
    names = ["0"] * files.CHUNK + ["first"] + ["0"] * files.CHUNK + ["second"]
    with pytest.raises(ValueError, match="first"):
        files.map_files(int, names, "")


def test_files_are_read_in_threads_from_the_first_slow_ones_on(monkeypatch):
    clock = iter([0.0, 0.02, 1.0, 1.1])  # 256 files in 20 ms, 256 in 100 ms
    monkeypatch.setattr("cage_lightning.data.files.perf_counter", lambda: next(clock))
    here = threading.current_thread()
    threads = files.map_files(lambda _: threading.current_thread(), range(4 * files.CHUNK), "")
    assert set(threads[: 2 * files.CHUNK]) == {here}
    assert here not in threads[2 * files.CHUNK :]


def test_progress_is_shown_on_stderr_and_only_for_many_files(monkeypatch, capsys):
    files.map_files(int, ["0"] * 5, "Reading faces")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(files, "SHOW_PROGRESS_FROM", 5)
    files.map_files(int, ["0"] * 5, "Reading faces")
    out, err = capsys.readouterr()
    assert out == ""
    assert "Reading faces" in err


@pytest.mark.parametrize(
    "path", ["a.jpg", "1/.../a..b.jpg", "./a.jpg", "1/..a", "1/a..", "ä 語.jpg"]
)
def test_a_plain_path(path):
    assert files.is_plain(path)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/a", "..", "../a", "1/../a", "1/..", "1//a", "1/", "1\\a", "..\\a", "a\0", "\udcff"],
)  # fmt: skip
def test_a_path_that_is_not_plain_leads_nowhere(path, tmp_path):
    assert not files.is_plain(path)
    assert not files.stays_inside(tmp_path, path)
    with pytest.raises(DataError, match=r"row 1: the picture .* is not a path below"):
        files.list_files(tmp_path, ["a.jpg", path], "row {}".format)


def test_only_files_are_read(tmp_path):
    (tmp_path / "good").write_bytes(b"content")
    assert files.read_file(tmp_path / "good") == b"content"
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)
    for name, message in (("pipe", "not a file"), (".", "not a file"), ("huge", "too large: 107")):
        with pytest.raises(files.Refused, match=message):
            files.read_file(tmp_path / name)


def test_the_first_file_is_none_outside(tmp_path):
    root = tmp_path / "root"
    (root / "lists").mkdir(parents=True)
    (tmp_path / "list.csv").write_text("")
    assert files.first_file(root, ["lists", "list.csv"]) is None
    (root / "list.csv").symlink_to("lists/inside.csv")
    (root / "lists/inside.csv").write_text("")
    assert files.first_file(root, ["lists", "list.csv"]) == root / "list.csv"
    (root / "lists/list.csv").symlink_to(tmp_path / "list.csv")
    with pytest.raises(DataError, match=r"list\.csv is a link to .*, outside .*Copy it"):
        files.first_file(root, ["lists/list.csv", "list.csv"])
