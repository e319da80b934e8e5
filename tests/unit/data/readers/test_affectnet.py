from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cage_lightning.data.readers import affectnet
from cage_lightning.data.readers.affectnet import read_affectnet
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC
from tests.affectnet_layouts import Row, write_2021, write_csv, write_pictures

TRAIN, VAL = "train_set", "val_set"

# These rows are invented. Sorting the ids as text would give 10, 100, 2, 33.
ROWS = [
    Row(2, 1, 0.75, 0.0625),
    Row(10, 7, -0.5, 0.625),
    Row(33, 0, 0.0, -0.0),
    Row(100, 6, -0.4, 0.5703125),
]

WRITERS = pytest.mark.parametrize("write", [write_2021, write_csv], ids=["npy", "csv"])


@WRITERS
def test_a_split_is_read_in_the_order_of_the_numbers(tmp_path, write):
    write(tmp_path, TRAIN, [ROWS[i] for i in (3, 0, 2, 1)])
    table = read_affectnet(tmp_path, "train", AFFECTNET_8)
    assert table.id.tolist() == ["2", "10", "33", "100"]
    assert table.path.tolist() == [f"train_set/images/{n}.jpg" for n in (2, 10, 33, 100)]
    assert all((table.root / path).is_file() for path in table.path)
    assert table.category.tolist() == [1, 7, 0, 6]
    assert table.affect[:, 0].tolist() == np.array([0.75, -0.5, 0.0, -0.4], np.float32).tolist()
    assert table.affect[:, 1].tolist() == [0.0625, 0.625, 0.0, 0.5703125]
    assert (table.space, table.root, table.left_out) == (AFFECTNET_8, tmp_path, {})
    assert (table.category.dtype, table.affect.dtype) == (np.dtype("int64"), np.dtype("float32"))


@WRITERS
def test_the_splits_share_numbers_but_nothing_else(tmp_path, write):
    write(tmp_path, TRAIN, [Row(0, 3, 0.1, 0.7), Row(1, 1, 0.7, 0.1)])
    write(tmp_path, VAL, [Row(0, 2, -0.6, -0.3), Row(5, 4, -0.1, 0.8)])
    train, test = (read_affectnet(tmp_path, split, AFFECTNET_8) for split in ("train", "test"))
    assert (train.id.tolist(), test.id.tolist()) == (["0", "1"], ["0", "5"])
    assert (train.category.tolist(), test.category.tolist()) == ([3, 1], [2, 4])
    assert test.path[0] == "val_set/images/0.jpg"
    assert test.affect.tolist() == np.array([[-0.6, -0.3], [-0.1, 0.8]], np.float32).tolist()


@WRITERS
def test_rows_outside_the_label_space_are_left_out_and_counted(tmp_path, write):
    rows = [
        *ROWS,
        Row(40, 7, -0.5, 0.5),
        Row(41, 8, 0.2, 0.2),
        Row(42, 9, -2, -2),
        Row(43, 10, -2, -2),
        Row(44, 10, -2, -2),
        Row(45, 5, -2, 0.5),
        Row(46, 5, -0.5, -2),
        Row(47, 7, -2, -2),
    ]
    write(tmp_path, TRAIN, rows)
    eight = read_affectnet(tmp_path, "train", AFFECTNET_8)
    codes = {"none": 1, "uncertain": 1, "no face": 2}
    assert eight.id.tolist() == ["2", "10", "33", "40", "100"]
    assert eight.left_out == {**codes, "no valence or arousal": 3}
    seven = read_affectnet(tmp_path, "train", AFFECTNET_7)
    assert seven.id.tolist() == ["2", "33", "100"]
    assert seven.left_out == {**codes, "contempt": 3, "no valence or arousal": 2}
    assert len(seven) + sum(seven.left_out.values()) == len(rows)


def test_codes_become_categories_by_name(tmp_path):
    write_2021(tmp_path, TRAIN, ROWS)
    some = replace(AFFECTNET_8, categories=("Anger", "Neutral", "Happiness"))
    table = read_affectnet(tmp_path, "train", some)
    assert table.category.tolist() == [2, 1, 0]
    assert table.left_out == {"contempt": 1}


affect_values = st.one_of(
    st.floats(-1, 1),
    st.sampled_from([-1.0, 1.0, 0.0, -0.0, -2.0, 1e-9, 5e-324]),
    st.integers(-126, 126).map(lambda n: n / 126),
)
row_lists = st.lists(
    st.builds(Row, st.integers(0, 420_298), st.integers(0, 10), affect_values, affect_values),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row.number,
)
ENCODINGS = [
    lambda v: np.array(str(v)),
    lambda v: np.array([[repr(v)]]),
    lambda v: np.array(str(v).encode()),
    lambda v: np.array(v, dtype=np.float64),
    lambda v: np.array([v], dtype=">f8"),
    lambda v: np.array(v) if isinstance(v, int) else np.array(v, dtype=np.float32),
]


@settings(max_examples=30, deadline=None)
@given(rows=row_lists, encode=st.sampled_from(ENCODINGS), space=st.sampled_from(["7", "8"]))
def test_both_layouts_of_a_table_read_alike(rows, encode, space):
    space = {"7": AFFECTNET_7, "8": AFFECTNET_8}[space]
    kept = sorted(r for r in rows if r.exp < len(space.categories) and -2 not in (r.val, r.aro))
    with tempfile.TemporaryDirectory() as folder:
        npy, csv_ = Path(folder, "npy"), Path(folder, "csv")
        npy.mkdir()
        csv_.mkdir()
        write_2021(npy, TRAIN, rows, encode)
        write_csv(csv_, TRAIN, rows)
        if not kept:
            for root in (npy, csv_):
                with pytest.raises(DataError, match=r"no row is left for affectnet"):
                    read_affectnet(root, "train", space)
            return
        first, second = (read_affectnet(root, "train", space) for root in (npy, csv_))
    assert first.fingerprint() == second.fingerprint()
    assert first.left_out == second.left_out
    assert sum(first.left_out.values()) == len(rows) - len(kept)
    assert first.id.tolist() == [str(r.number) for r in kept]
    assert first.category.tolist() == [r.exp for r in kept]
    affect = np.array([(r.val, r.aro) for r in kept], np.float32)
    np.testing.assert_array_equal(first.affect, affect)


def test_the_release_is_found_or_named(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = write_csv(tmp_path, TRAIN, [Row(1, 1)], inside="")
    assert read_affectnet(tmp_path, "train", AFFECTNET_8).category.tolist() == [1]
    assert caplog.messages == [f"AffectNet train: reading release csv at {path}"]

    write_2021(tmp_path, TRAIN, [Row(1, 2)])
    assert read_affectnet(tmp_path, "train", AFFECTNET_8).category.tolist() == [2]
    assert "release affectnet2021" in caplog.messages[-1]
    assert "release=csv is there too" in caplog.messages[-1]
    assert read_affectnet(tmp_path, "train", AFFECTNET_8, "csv").category.tolist() == [1]
    assert read_affectnet(tmp_path, "train", AFFECTNET_8, "affectnet2021").category.tolist() == [2]

    write_csv(tmp_path, TRAIN, [Row(1, 3)])
    assert read_affectnet(tmp_path, "train", AFFECTNET_8, "csv").category.tolist() == [3]


@pytest.mark.parametrize("exists", [True, False])
def test_a_root_without_a_release_says_what_was_looked_for(tmp_path, exists):
    root = tmp_path if exists else tmp_path / "nowhere"
    with pytest.raises(DataError) as error:
        read_affectnet(root, "test", AFFECTNET_8)
    message = str(error.value)
    for part in (str(root), "val_set", "images/", "_exp.npy", "_annotation_without_lnd.csv"):
        assert part in message
    for remedy in ("data.root=", "CAGE_DATA"):
        assert remedy in message
    assert ("is not a folder" in message) is not exists


def test_a_named_release_that_is_not_there_is_not_replaced_by_another(tmp_path):
    write_csv(tmp_path, TRAIN, ROWS)
    with pytest.raises(DataError, match="No AffectNet annotations"):
        read_affectnet(tmp_path, "train", AFFECTNET_8, "affectnet2021")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"split": "val"}, "split=val.*train, test"),
        ({"release": "2017"}, "release=2017.*auto, affectnet2021, csv"),
        ({"on_error": "white"}, "on_error=white.*raise, skip"),
        ({"space": EMOTIC}, "emotic"),
    ],
)
def test_unknown_choices_are_refused(tmp_path, changed, message):
    write_2021(tmp_path, TRAIN, ROWS)
    chosen = {"split": "train", "space": AFFECTNET_8, **changed}
    with pytest.raises(ConfigError, match=message):
        read_affectnet(tmp_path, **chosen)


@WRITERS
@pytest.mark.parametrize(
    ("bad", "column", "found"),
    [
        (Row(7, 11), "exp", "11.0"),
        (Row(7, -1), "exp", "-1.0"),
        (Row(7, 2.5), "exp", "2.5"),  # type: ignore[arg-type]  # is no code
        (Row(7, float("nan")), "exp", "nan"),  # type: ignore[arg-type]  # is no code
        (Row(7, 0, 1.01, 0), "val", "1.01"),
        (Row(7, 0, 0, -1.5), "aro", "-1.5"),
        (Row(7, 0, -3, 0), "val", "-3.0"),
        (Row(7, 10, 0, float("nan")), "aro", "nan"),
        (Row(7, 0, float("inf"), 0), "val", "inf"),
    ],
)
def test_values_out_of_range_are_errors_that_name_them(tmp_path, write, bad, column, found):
    write(tmp_path, TRAIN, [*ROWS, bad])
    with pytest.raises(DataError) as error:
        read_affectnet(tmp_path, "train", AFFECTNET_8)
    message = str(error.value)
    assert f"{column} is {found}" in message
    assert f"7_{column}.npy" in message or "lnd.csv, number 7" in message
    assert "1 such rows of 5" in message


@WRITERS
@pytest.mark.parametrize("split", ["train", "test"])
def test_missing_pictures_are_an_error_or_left_out(tmp_path, write, split):
    folder = {"train": TRAIN, "test": VAL}[split]
    unused = Row(5, 9, -2, -2)  # a row that is left out anyhow needs no picture
    write(tmp_path, folder, [*ROWS, unused])
    for number in (5, 10, 100):
        (tmp_path / folder / "images" / f"{number}.jpg").unlink()
    with pytest.raises(DataError) as error:
        read_affectnet(tmp_path, split, AFFECTNET_8)
    for part in ("2 of 5", f"{folder}/images/10.jpg", "images/100.jpg", "data.on_error=skip"):
        assert part in str(error.value)
    table = read_affectnet(tmp_path, split, AFFECTNET_8, on_error="skip")
    assert table.id.tolist() == ["2", "33"]
    assert table.left_out == {"missing picture": 2, "uncertain": 1}


@WRITERS
def test_no_pictures_at_all(tmp_path, write):
    write(tmp_path, TRAIN, ROWS)
    (tmp_path / TRAIN / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="4 of 4 pictures"):
        read_affectnet(tmp_path, "train", AFFECTNET_8)
    with pytest.raises(DataError, match=r"no row is left.*'missing picture': 4"):
        read_affectnet(tmp_path, "train", AFFECTNET_8, on_error="skip")


@WRITERS
def test_pictures_without_a_label_are_counted(tmp_path, write):
    write(tmp_path, TRAIN, ROWS)
    write_pictures(tmp_path, TRAIN, [Row(3), Row(4)])
    for name in ("._2.jpg", "Thumbs.db", ".DS_Store"):
        (tmp_path / TRAIN / "images" / name).touch()
    table = read_affectnet(tmp_path, "train", AFFECTNET_8)
    assert table.left_out == {"picture without label": 2}
    assert len(table) == 4


@WRITERS
def test_pictures_are_found_by_one_scan(tmp_path, write, monkeypatch):
    rows = [Row(n) for n in range(100)]
    write(tmp_path, TRAIN, rows)
    calls = {"scandir": 0, "stat": 0}

    def counting(name):
        function = getattr(os, name)

        def count(path, *args, **kwargs):
            calls[name] += "images" in os.fspath(path)
            return function(path, *args, **kwargs)

        return count

    for name in calls:
        monkeypatch.setattr(os, name, counting(name))
    assert len(read_affectnet(tmp_path, "train", AFFECTNET_8)) == len(rows)
    assert calls["scandir"] == 1
    assert calls["stat"] < 5


def npy_bytes(tmp_path, array, **options) -> bytes:
    np.save(tmp_path / "sample.npy", array, **options)
    return Path(tmp_path / "sample.npy").read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        lambda tmp: b"",
        lambda tmp: b"\x93NUMPY",
        lambda tmp: npy_bytes(tmp, np.array("0.25"))[:40],
        lambda tmp: npy_bytes(tmp, np.array("0.25"))[:-3],
        lambda tmp: npy_bytes(tmp, np.array(0.25))[:-1],
        lambda tmp: b"0.25",
        lambda tmp: npy_bytes(tmp, np.array("happy")),
        lambda tmp: npy_bytes(tmp, np.array("")),
        lambda tmp: npy_bytes(tmp, np.array(b"1,5")),
        lambda tmp: npy_bytes(tmp, np.array(1j)),
        lambda tmp: npy_bytes(tmp, np.array(True)),
        lambda tmp: npy_bytes(tmp, np.array("2020-01-01", dtype="M8[D]")),
        lambda tmp: npy_bytes(tmp, np.zeros(0)),
        lambda tmp: npy_bytes(tmp, np.zeros(136)),
        lambda tmp: npy_bytes(tmp, np.array([0.25], dtype=object), allow_pickle=True),
    ],
)
def test_a_broken_array_is_an_error_that_names_the_file(tmp_path, content):
    write_2021(tmp_path, TRAIN, ROWS)
    path = tmp_path / TRAIN / "annotations" / "33_val.npy"
    path.write_bytes(content(tmp_path))
    with pytest.raises(DataError, match=str(path)):
        read_affectnet(tmp_path, "train", AFFECTNET_8)


class Trap:
    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


def test_a_pickled_array_is_refused_and_never_loaded(tmp_path):
    write_2021(tmp_path, TRAIN, ROWS)
    path = tmp_path / TRAIN / "annotations" / "2_exp.npy"
    np.save(path, np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"2_exp\.npy.*object"):
        read_affectnet(tmp_path, "train", AFFECTNET_8)
    assert not Trap.sprung


@pytest.mark.parametrize("column", ["exp", "val", "aro"])
def test_a_missing_array_is_an_error(tmp_path, column):
    write_2021(tmp_path, TRAIN, ROWS)
    (tmp_path / TRAIN / "annotations" / f"33_{column}.npy").unlink()
    with pytest.raises(DataError, match=f"1 of 12 annotation files.*33_{column}.npy"):
        read_affectnet(tmp_path, "train", AFFECTNET_8, on_error="skip")


def test_landmarks_and_stray_files_are_not_read(tmp_path):
    write_2021(tmp_path, TRAIN, ROWS)
    annotations = tmp_path / TRAIN / "annotations"
    for name in ("2_lnd.npy", "._2_exp.npy", "readme.txt", "2_exp.npy.bak", "x_exp.npy"):
        (annotations / name).write_bytes(b"garbage")
    (annotations / "10_lnd.npy").unlink()
    assert len(read_affectnet(tmp_path, "train", AFFECTNET_8)) == 4


def test_an_empty_annotation_folder_is_an_error(tmp_path):
    (tmp_path / TRAIN / "annotations").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no annotations"):
        read_affectnet(tmp_path, "train", AFFECTNET_8)


def test_csv_columns_go_by_name(tmp_path):
    path = write_csv(tmp_path, VAL, [Row(4), Row(9)])
    path.write_text("\ufeffaro,name,number,val,exp\n0.5,a,9,-0.25,4\n\n0.1,b,4.0,0.2,3.0\n")
    table = read_affectnet(tmp_path, "test", AFFECTNET_8)
    assert table.id.tolist() == ["4", "9"]
    assert table.category.tolist() == [3, 4]
    assert table.affect.tolist() == np.array([[0.2, 0.1], [-0.25, 0.5]], np.float32).tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty.*number,exp,val,aro"),
        (b"number,exp,val,aro\n", "holds no rows"),
        (b"number,exp,valence,aro\n2,0,0,0\n", "no column 'val' in the header 'number,exp,valen"),
        (b"2,0,0.1,0.2\n10,1,0.1,0.2\n", "no column 'number' in the header '2,0,0.1,0.2'"),
        (b"number,exp,val,aro\n2,0,0,0\n10,Happy,0,0\n", "line 3.*'Happy'"),
        (b"number,exp,val,aro\n2,0,0,0\n10,1,,0\n", "line 3.*''"),
        (b"number,exp,val,aro\n2,0,0,0\n10,1,0\n", "line 3"),
        (b"number,exp,val,aro\n2,0,0,0\n\xff\xfe,1,0,0\n", "line 3.*'ÿþ'"),
        (b"number;exp;val;aro\n2;0;0;0\n10;1;0,5,5;0\n", "line 3.*'0,5,5'"),
        (b'number,exp,val,aro\n2,0,0,"0', "line 2"),
        (b"number,exp,val,aro\n2,0,0,0\n2.5,0,0,0\n", "number 2.5 is not"),
        (b"number,exp,val,aro\n2,0,0,0\n-2,0,0,0\n", "number -2.0 is not"),
        (b"number,exp,val,aro\nnan,0,0,0\n", "number nan is not"),
        (b"number,exp,val,aro\ninf,0,0,0\n", "number inf is not"),
        (b"number,exp,val,aro\n2,0,0,0\n10,1,0,0\n2,3,0,0\n", "number 2 occurs twice"),
    ],
)
def test_a_broken_csv_is_an_error_that_names_file_and_line(tmp_path, content, message):
    path = write_csv(tmp_path, TRAIN, ROWS)
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_affectnet(tmp_path, "train", AFFECTNET_8)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        "number;exp;val;aro\r\n4;3;0,2;0,1\r\n9;4;-0,25;0,5\r\n",
        "number\texp\tval\taro\n4\t3\t0.2\t0.1\n9\t4\t-0.25\t0.5\n",
        "Number, Exp ,VAL, Aro\n4, 3, 0.2, 0.1\n9 ,4,-0.25,0.5\n",
    ],
    ids=["semicolon", "tab", "capitals and blanks"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_csv_as_programs_write_it(tmp_path, content, encoding):
    path = write_csv(tmp_path, VAL, [Row(4), Row(9)])
    path.write_bytes(content.encode(encoding))
    table = read_affectnet(tmp_path, "test", AFFECTNET_8)
    assert table.id.tolist() == ["4", "9"]
    assert table.category.tolist() == [3, 4]
    assert table.affect.tolist() == np.array([[0.2, 0.1], [-0.25, 0.5]], np.float32).tolist()


def test_numbers_of_a_csv_may_begin_with_zeros_as_their_pictures_do(tmp_path):
    path = write_csv(tmp_path, VAL, [Row(4), Row(9)])
    path.write_text("number,exp,val,aro\n000009,4,0,0\n4,3,0,0\n")
    (tmp_path / VAL / "images/9.jpg").rename(tmp_path / VAL / "images/000009.jpg")
    table = read_affectnet(tmp_path, "test", AFFECTNET_8)
    assert table.id.tolist() == ["4", "9"]
    assert table.path.tolist() == [f"{VAL}/images/4.jpg", f"{VAL}/images/000009.jpg"]


def test_codes_are_those_of_the_published_table():
    assert affectnet.CODES[:8] == AFFECTNET_8.categories
    assert affectnet.CODES[8:] == ("None", "Uncertain", "No face")
