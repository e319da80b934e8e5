"""The release of 2017: face boxes, row numbers and paths from a list that may lack its header."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cage_lightning.data.broken_pictures import without_broken
from cage_lightning.data.face_dataset import FaceDataset
from cage_lightning.data.readers.affectnet import read_affectnet
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8
from tests.affectnet_layouts import (
    BOX,
    HEADER_2017,
    Row,
    fields_2017,
    path_2017,
    picture,
    write_2017,
    write_list,
)

ROWS = [Row(0, 1, 0.75, 0.0625), Row(1, 7, -0.5, 0.625), Row(4, 0), Row(11, 6, -0.4, 0.57)]
HEADER = pytest.mark.parametrize("header", [True, False], ids=["header", "no header"])
LIST = "Manually_Annotated_file_lists/training.csv"


def write_faces(root, table, header=True):
    """A list, and the pictures that it names, of 40 x 30 pixels."""
    for fields in table:
        path = root / "Manually_Annotated_Images" / fields[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(path.suffix, size=(40, 30)))
    return write_list(root / LIST, table, header)


def read(root, split="train", **options):
    return read_affectnet(root, split, AFFECTNET_8, **options)


@HEADER
@pytest.mark.parametrize("lists", ["Manually_Annotated_file_lists", ""])
@pytest.mark.parametrize(
    "images",
    [
        "Manually_Annotated_Images",
        "Manually_Annotated_compressed/Manually_Annotated_Images",
        "Manually_Annotated/Manually_Annotated_Images",
        "",
    ],
)
def test_a_list_is_read_wherever_it_and_its_pictures_lie(tmp_path, header, lists, images):
    write_2017(tmp_path, "train", ROWS, header, lists, images)
    write_2017(tmp_path, "test", [Row(0, 5, -0.7, 0.4)], header, lists, images)
    table, test = read(tmp_path), read(tmp_path, "test")
    assert table.id.tolist() == ["0", "1", "4", "11"]
    prefix = f"{images}/" if images else ""
    assert table.path.tolist() == [prefix + path_2017(row.number) for row in ROWS]
    assert all((tmp_path / path).is_file() for path in table.path)
    assert table.category.tolist() == [1, 7, 0, 6]
    assert table.affect.tolist() == np.array([row[2:] for row in ROWS], np.float32).tolist()
    assert (test.id.tolist(), test.category.tolist()) == (["0"], [5])


@HEADER
def test_a_box_is_a_corner_and_a_size(tmp_path, header):
    boxes = [("5", "7", "20", "10"), ("5.0", "7.5", "20.25", "10.0"), ("-3", "0", "10", "5")]
    table = [fields_2017(Row(i), box=box) for i, box in enumerate(boxes)]
    write_faces(tmp_path, table, header)
    box = read(tmp_path).box
    assert box.dtype == np.float32
    assert box.tolist() == [[5, 7, 25, 17], [5, 7.5, 25.25, 17.5], [-3, 0, 7, 5]]


def test_rows_that_are_no_faces_are_left_out_and_counted(tmp_path):
    unusable = [
        (Row(1, 8, 0.2, 0.2), BOX),
        (Row(2, 9, -2, -2), BOX),
        (Row(3, 10, -2, -2), ("0", "0", "-1", "-1")),
        (Row(4, 10, -2, -2), BOX),
        (Row(5, 2, -2, -2), BOX),
        (Row(6, 2, 0.5, -2), ("5", "5", "-1", "9")),
        (Row(7, 2), ("5", "5", "-7", "9")),
        (Row(8, 2), ("5", "5", "7", "-9")),
        (Row(9, 2), ("5", "5", "0", "9")),
        (Row(10, 2), ("nan", "5", "7", "9")),
        (Row(11, 2), ("5", "5", "inf", "9")),
        (Row(12, 7), BOX),
    ]
    table = [fields_2017(Row(0, 3)), *(fields_2017(row, box=box) for row, box in unusable)]
    write_faces(tmp_path, table)
    expected = {
        "none": 1,
        "uncertain": 1,
        "no face": 2,
        "no valence or arousal": 2,
        "no face box": 5,
    }
    eight = read(tmp_path)
    assert (eight.id.tolist(), eight.left_out) == (["0", "12"], expected)
    seven = read_affectnet(tmp_path, "train", AFFECTNET_7)
    assert (seven.id.tolist(), seven.left_out) == (["0"], expected | {"contempt": 1})


def test_pictures_of_the_other_split_do_not_count_as_unlabelled(tmp_path):
    write_2017(tmp_path, "train", [Row(0, 1), Row(1, 2), Row(2, 3)])
    write_list(tmp_path / "validation.csv", [fields_2017(Row(0, 5), path=path_2017(0))])
    assert path_2017(0)[:2] == path_2017(3)[:2]  # one folder
    assert (len(read(tmp_path, "test")), read(tmp_path, "test").left_out) == (1, {})


@HEADER
def test_several_faces_of_one_picture_have_ids_of_their_own(tmp_path, header):
    path = "1/group.PNG"
    boxes = [("0", "0", "10", "30"), ("30", "0", "10", "30")]
    faces = [fields_2017(Row(i, i + 1, 0.5), path, box) for i, box in enumerate(boxes)]
    write_faces(tmp_path, faces, header)
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:, 30:, 0] = 200
    Image.fromarray(pixels).save(tmp_path / "Manually_Annotated_Images" / path)
    table = read(tmp_path)
    assert table.id.tolist() == ["0", "1"]
    assert table.path[0] == table.path[1]
    persons = FaceDataset(table, 8)
    first, second = (persons[row] for row in range(len(persons)))
    assert (first.image[0].unique().tolist(), first.category.item()) == ([0], 1)
    assert (second.image[0].unique().tolist(), second.category.item()) == ([200], 2)
    wide = FaceDataset(table, 30, margin=1.0)[1].image[0]  # from 20 to the edge, at 40
    assert (wide[:, :14].max().item(), wide[:, -14:].min().item()) == (0, 200)


def test_a_box_outside_its_picture_counts_as_a_broken_picture(tmp_path):
    outside = ("40", "0", "20", "20")
    path = "1/two.jpg"
    faces = [fields_2017(Row(0), path), fields_2017(Row(1), path, outside), fields_2017(Row(2))]
    write_faces(tmp_path, faces)
    kept = without_broken(read(tmp_path))
    assert (kept.id.tolist(), kept.left_out) == (["0", "2"], {"broken picture": 1})


def test_columns_of_a_header_go_by_name(tmp_path):
    path = write_faces(tmp_path, [fields_2017(Row(0, 4, 0.25, -0.5))])
    rows = [["arousal", *HEADER_2017[:8]], ["-0.5", *fields_2017(Row(0, 4, 0.25))[:8]]]
    path.write_text("\ufeff" + "\n\n".join(",".join(row) for row in rows) + "\n")
    table = read(tmp_path)
    assert (table.id.tolist(), table.category.tolist()) == (["0"], [4])
    assert table.affect.tolist() == [[0.25, -0.5]]
    assert table.box.tolist() == [[5, 7, 25, 17]]


@HEADER
def test_blank_lines_are_no_rows(tmp_path, header):
    path = write_faces(tmp_path, [fields_2017(Row(i, i)) for i in range(3)], header)
    path.write_text(path.read_text().replace("\n", "\n\n"))
    assert read(tmp_path).id.tolist() == ["0", "1", "2"]


@HEADER
@pytest.mark.parametrize(
    "path",
    ["../secret.jpg", "1/../../secret.jpg", "..", "/etc/passwd", "..\\secret.jpg", "1\\a.jpg"],
)
@pytest.mark.parametrize("code", [0, 10])
def test_a_path_that_leads_out_of_the_root_is_refused(tmp_path, header, path, code):
    root = tmp_path / "root"
    good = fields_2017(Row(0, 1))
    write_faces(root, [good])
    (tmp_path / "secret.jpg").write_bytes(picture(".jpg"))
    write_list(root / LIST, [good, fields_2017(Row(1, code), path)], header)
    line = 3 if header else 2
    with pytest.raises(DataError) as error:
        read(root, on_error="skip")
    for part in (f"training.csv, line {line}:", repr(path)[1:-1], f"below {root}"):
        assert part in str(error.value)


@pytest.mark.parametrize("name", ["a..b.jpg", "...jpg", "1/.../a.jpg"])
def test_dots_inside_a_name_are_no_way_out(tmp_path, name):
    write_faces(tmp_path, [fields_2017(Row(0, 1), f"1/{name}" if "/" not in name else name)])
    if name.startswith("."):
        with pytest.raises(DataError, match=r"1 of 1 pictures.*missing"):
            read(tmp_path)  # a hidden file is none of the pictures
    else:
        assert len(read(tmp_path)) == 1


def test_an_empty_path_names_no_picture(tmp_path):
    table = [fields_2017(Row(0, 1)), fields_2017(Row(1, 2))]
    write_faces(tmp_path, table)
    table[1][0] = ""
    write_list(tmp_path / LIST, table)
    with pytest.raises(DataError, match=r"training\.csv, line 3: .* not a path below"):
        read(tmp_path)


def test_a_missing_picture_of_any_format_is_named(tmp_path):
    write_2017(tmp_path, "train", ROWS)
    (tmp_path / "Manually_Annotated_Images" / path_2017(11)).unlink()
    with pytest.raises(DataError, match=f"1 of 13 pictures.*{path_2017(11)}"):
        read(tmp_path)
    assert read(tmp_path, on_error="skip").id.tolist() == ["0", "1", "4"]


@HEADER
@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("expression", "11", "exp is 11.0"),
        ("valence", "1.5", "val is 1.5"),
        ("arousal", "nan", "aro is nan"),
        ("expression", "Happy", "'Happy'"),
        ("face_x", "", "''"),
        ("face_width", "NULL", "'NULL'"),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_line(tmp_path, header, column, text, message):
    bad = fields_2017(Row(1, 2))
    bad[HEADER_2017.index(column)] = text
    write_faces(tmp_path, [fields_2017(Row(0, 1)), bad, fields_2017(Row(2, 3))], header)
    with pytest.raises(DataError, match=f"training.csv, line {3 if header else 2}: .*{message}"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no rows"),
        (",".join(HEADER_2017) + "\n", "holds no rows"),
        ("1/a.jpg,1,2,3\n", "line 1: 4 fields instead of 9"),
        (",".join(fields_2017(Row(0))) + ",more\n", "line 1: 10 fields instead of 9"),
        ("subDirectory_filePath,expression\n1/a.jpg,3\n", "line 1: there is no column 'face_x'"),
        ("number,exp,val,aro\n0,1,0.5,0.5\n", "line 1: 4 fields"),
    ],
)
def test_a_broken_list_is_an_error_that_names_file_and_line(tmp_path, text, message):
    path = write_list(tmp_path / LIST, [])
    path.write_text(text)
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path)
    assert str(path) in str(error.value)
