from __future__ import annotations

import pytest

from cage_lightning.data import files


def test_values_come_back_in_order():
    names = [str(i) for i in range(3 * files.CHUNK + 1)]
    assert files.map_files(int, names, "") == list(range(len(names)))
    assert files.map_files(int, [], "") == []


def test_the_error_of_the_first_name_is_raised():
    names = ["0"] * files.CHUNK + ["first"] + ["0"] * files.CHUNK + ["second"]
    with pytest.raises(ValueError, match="first"):
        files.map_files(int, names, "")


def test_progress_is_shown_on_stderr_and_only_for_many_files(monkeypatch, capsys):
    files.map_files(int, ["0"] * 5, "Reading faces")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(files, "SHOW_PROGRESS_FROM", 5)
    files.map_files(int, ["0"] * 5, "Reading faces")
    out, err = capsys.readouterr()
    assert out == ""
    assert "Reading faces" in err
