"""The EMOTIC reader, on invented annotations in both layouts."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from cage_lightning.data.readers.emotic import RELEASES, read_emotic
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import AFFECTNET_8, EMOTIC

# The categories in the order of the project's web page, with its spelling of two of them.
WEBSITE_ORDER = [
    "Peace",
    "Affection",
    "Esteem",
    "Anticipation",
    "Engagement",
    "Confidence",
    "Happiness",
    "Pleasure",
    "Excitement",
    "Surprise",
    "Sympathy",
    "Doubt/Confuzion",
    "Disconnection",
    "Fatigue",
    "Embarrassment",
    "Yearning",
    "Disapproval",
    "Aversion",
    "Annoyance",
    "Anger",
    "Sensitivity",
    "Sadness",
    "Disquitement",
    "Fear",
    "Pain",
    "Suffering",
]

NAN = float("nan")


@dataclass
class Someone:
    """A person; `reports` are (categories, affect) of the annotators, `combined` what they sum to
    (by default those of the first)."""

    box: object = (1, 2, 11, 22)
    reports: list = field(default_factory=lambda: [(["Peace", "Yearning"], (7, 3, 5))])
    combined: tuple | None = None
    gender: str = "Female"
    age: str = "Kid"

    def __post_init__(self):
        self.combined = self.combined or self.reports[0]


def someone(categories=("Peace",), affect=(7, 3, 5), **values):
    return Someone(reports=[(list(categories), affect)], **values)


@dataclass
class Picture:
    persons: list
    filename: str = "a.jpg"
    folder: str = "mscoco/images"
    size: tuple = (60, 40)  # width, height


def structs(*rows):
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in (rows or ({"x": 0},))[0]])
    for i, row in enumerate(rows):
        array[0, i] = tuple(row.values())
    return array


def cell(values):
    array = np.empty((1, len(values)), dtype=object)
    array[0, :] = values
    return array


def affect_struct(values):
    return structs(dict(zip(("valence", "arousal", "dominance"), values, strict=True)))


def mat_person(person, split):
    categories = structs(*({"categories": cell(names)} for names, _ in person.reports))
    continuous = structs(
        *(dict(zip(EMOTIC.dimensions, affect, strict=True)) for _, affect in person.reports)
    )
    combined = {} if split == "train" else {"combined_categories": cell(person.combined[0])}
    fields = {
        "body_bbox": np.atleast_2d(person.box),
        "annotations_categories": categories,
        **combined,
        "annotations_continuous": continuous,
    }
    if split != "train":
        fields["combined_continuous"] = affect_struct(person.combined[1])
    return fields | {"gender": person.gender, "age": person.age}


def write_pictures(root, pictures):
    for picture in pictures:
        path = root / picture.folder / picture.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", picture.size).save(path)


def write_mat(root, pictures, split="train", place="Annotations", images="emotic"):
    entries = [
        {
            "filename": picture.filename,
            "folder": picture.folder,
            "image_size": structs({"n_col": picture.size[0], "n_row": picture.size[1]}),
            "original_database": structs({"name": "mscoco"}),
            "person": structs(*(mat_person(person, split) for person in picture.persons)),
        }
        for picture in pictures
    ]
    (root / place).mkdir(parents=True, exist_ok=True)
    savemat(root / place / "Annotations.mat", {split: structs(*entries)})
    write_pictures(root / images, pictures)
    return root


def write_csv(root, rows, split="train", header=None):
    path = root / "emotic_pre" / f"{split}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = "Index,Folder,Filename,Image Size,BBox,Categorical_Labels,Continuous_Labels"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((header or f"{columns},Gender,Age").split(","))
        writer.writerows((i, *row) for i, row in enumerate(rows))
    for folder, filename, *_ in rows:
        write_pictures(root / "emotic", [Picture([], filename, folder)])
    return root


def csv_row(
    size="[60, 40]", box="[1, 2, 11, 22]", categories="['Peace']", affect="[7.0, 3.0, 5.0]"
):
    return "mscoco/images", "a.jpg", size, box, categories, affect, "Male", "Adult"


def names_of(table):
    return [[EMOTIC.categories[k] for k in np.flatnonzero(row)] for row in table.category]


# --- the scale ------------------------------------------------------------------------------------


@given(st.floats(1, 10))
def test_the_scale_of_emotic(x):
    assert EMOTIC.to_unit(x) == pytest.approx((2 * x - 11) / 9, abs=1e-12)
    assert EMOTIC.to_native(EMOTIC.to_unit(x)) == pytest.approx(x)
    y = (2 * x - 11) / 9
    assert EMOTIC.to_native(y) == pytest.approx((9 * y + 11) / 2)
    assert AFFECTNET_8.to_unit(y) == AFFECTNET_8.to_native(y) == y


def test_the_ends_of_the_scale_and_the_unknown():
    np.testing.assert_array_equal(EMOTIC.to_unit(np.array([1, 5.5, 10, NAN])), [-1, 0, 1, NAN])
    np.testing.assert_array_equal(EMOTIC.to_native(np.array([-1, 0, 1, NAN])), [1, 5.5, 10, NAN])


# --- what a row says ------------------------------------------------------------------------------


def test_a_person_is_a_row(tmp_path):
    persons = [Someone(), someone(("Fear",), (1, 10, 4), box=(20, 0, 50, 40), gender="Male")]
    table = read_emotic(write_mat(tmp_path, [Picture(persons)]), "train")
    assert table.space == EMOTIC
    assert table.root == tmp_path / "emotic"
    assert table.path.tolist() == ["mscoco/images/a.jpg"] * 2
    assert table.id.tolist() == [
        "mscoco/images/a.jpg#1,2,11,22",
        "mscoco/images/a.jpg#20,0,50,40",
    ]
    assert names_of(table) == [["Peace", "Yearning"], ["Fear"]]
    expected = [[3 / 9, -5 / 9, -1 / 9], [-1, 1, -3 / 9]]
    np.testing.assert_allclose(table.affect, expected, rtol=1e-6)
    np.testing.assert_array_equal(table.box, [[1, 2, 11, 22], [20, 0, 50, 40]])
    assert table.extra["gender"].tolist() == ["Female", "Male"]
    assert table.extra["age"].tolist() == ["Kid", "Kid"]
    assert table.left_out == {}


@pytest.mark.parametrize("split", ["val", "test"])
def test_val_and_test_take_what_the_release_combined(tmp_path, split):
    reports = [(["Peace"], (1, 1, 1)), (["Anger", "Peace"], (10, 2, 3))]
    person = Someone(reports=reports, combined=(["Anger", "Peace"], (6, 2, 2)))
    table = read_emotic(write_mat(tmp_path, [Picture([person])], split), split)
    assert names_of(table) == [["Anger", "Peace"]]
    np.testing.assert_allclose(EMOTIC.to_native(table.affect), [[6, 2, 2]], rtol=1e-6)


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_picture_one_person_one_annotator_one_category(tmp_path, split):
    # One-element arrays are squeezed: each struct array is a struct, and the cell is a text.
    table = read_emotic(write_mat(tmp_path, [Picture([someone(["Fear"])])], split), split)
    assert names_of(table) == [["Fear"]]
    assert len(table) == 1


def test_a_picture_without_persons(tmp_path):
    pictures = [Picture([], "empty.jpg"), Picture([Someone()])]
    assert len(read_emotic(write_mat(tmp_path, pictures), "train")) == 1


def test_categories_go_by_name_in_any_order_and_both_spellings(tmp_path):
    persons = [someone([name], box=(i, 0, i + 5, 9)) for i, name in enumerate(WEBSITE_ORDER)]
    table = read_emotic(write_mat(tmp_path, [Picture(persons)]), "train")
    found = [names[0] for names in names_of(table)]
    fixed = {"Doubt/Confuzion": "Doubt/Confusion", "Disquitement": "Disquietment"}
    assert found == [fixed.get(name, name) for name in WEBSITE_ORDER]
    assert (table.category.sum(axis=0) == 1).all()


def test_all_26_at_once_and_repeats(tmp_path):
    persons = [someone([*WEBSITE_ORDER, "Peace"])]
    assert read_emotic(write_mat(tmp_path, [Picture(persons)]), "train").category.sum() == 26


# --- boxes ----------------------------------------------------------------------------------------

# A box in a picture 60 wide and 40 high, and the part of it inside the picture. Each box with a
# right edge beyond 40 goes wrong when width and height are swapped.
BOXES = {
    "inside": ((45, 5, 55, 35), (45, 5, 55, 35)),
    "whole": ((0, 0, 60, 40), (0, 0, 60, 40)),
    "over the right and lower edge": ((30, 20, 99, 99), (30, 20, 60, 40)),
    "over the left and upper edge": ((-5, -7, 50, 30), (0, 0, 50, 30)),
    "fractions are cut": ((1.9, 2.9, 50.9, 39.9), (1, 2, 50, 39)),
}


@pytest.mark.parametrize("source", RELEASES)
@pytest.mark.parametrize("case", BOXES)
def test_boxes_are_clamped_to_width_and_height(tmp_path, source, case):
    box, expected = BOXES[case]
    if source == "mat":
        write_mat(tmp_path, [Picture([someone(box=box)])])
    else:
        write_csv(tmp_path, [csv_row(box=str(list(box)))])
    table = read_emotic(tmp_path, "train", release=source)
    np.testing.assert_array_equal(table.box, [expected])


def test_boxes_in_bytes_do_not_wrap_around(tmp_path):
    box = np.array([[250, 10, 255, 250]], np.uint8)
    picture = Picture([someone(box=box)], size=(300, 200))
    table = read_emotic(write_mat(tmp_path, [picture]), "train")
    np.testing.assert_array_equal(table.box, [[250, 10, 255, 200]])


@pytest.mark.parametrize("source", RELEASES)
@pytest.mark.parametrize("box", [(60, 5, 80, 20), (5, 40, 20, 60), (-9, 1, 0, 9), (9, 9, 9, 20)])
def test_boxes_that_are_empty_are_left_out_and_counted(tmp_path, source, box):
    if source == "mat":
        write_mat(tmp_path, [Picture([Someone(), someone(box=box)])])
    else:
        write_csv(tmp_path, [csv_row(), csv_row(box=str(list(box)))])
    table = read_emotic(tmp_path, "train", release=source)
    assert len(table) == 1
    assert table.left_out == {"box outside the picture": 1}


# --- what is unknown ------------------------------------------------------------------------------

UNKNOWN = {
    "all": ((NAN, NAN, NAN), [True, True, True]),
    "one": ((NAN, 3, 5), [True, False, False]),
    "the last": ((7, 3, NAN), [False, False, True]),
    "empty": ((7, np.zeros((0, 0)), 5), [False, True, False]),
}


@pytest.mark.parametrize("case", UNKNOWN)
@pytest.mark.parametrize("split", ["train", "val"])
def test_unknown_affect_is_left_out_or_kept_as_nan(tmp_path, case, split):
    affect, missing = UNKNOWN[case]
    persons = [someone(affect=affect), someone(box=(9, 9, 20, 20))]
    write_mat(tmp_path, [Picture(persons)], split)
    dropped = read_emotic(tmp_path, split)
    assert dropped.id.tolist() == ["mscoco/images/a.jpg#9,9,20,20"]
    assert dropped.left_out == {"no valence, arousal or dominance": 1}
    kept = read_emotic(tmp_path, split, drop_invalid=False)
    np.testing.assert_array_equal(np.isnan(kept.affect), [missing, [False] * 3])
    known = ~np.array(missing)
    expected = ((2 * np.array([7, 3, 5]) - 11) / 9)[known]
    np.testing.assert_allclose(kept.affect[0][known], expected, rtol=1e-6)
    assert kept.left_out == {}
    assert kept.id[1] == dropped.id[0]


def test_unknown_affect_in_a_csv(tmp_path):
    write_csv(tmp_path, [csv_row(affect="[nan, 3.0, 5.0]"), csv_row(box="[9, 9, 20, 20]")])
    assert len(read_emotic(tmp_path, "train")) == 1
    kept = read_emotic(tmp_path, "train", drop_invalid=False)
    np.testing.assert_array_equal(np.isnan(kept.affect[0]), [True, False, False])


@pytest.mark.parametrize("unknown", ["NaN", "nan", "None", "np.float64(nan)"])
def test_a_csv_of_a_newer_numpy(tmp_path, unknown):
    boxes = [[1, 2, 11, 22], [9, 9, 20, 20]]
    plain = [csv_row(box=str(box)) for box in boxes]
    write_csv(tmp_path / "plain", plain)
    newer = [
        csv_row(
            size="[np.int64(60), 40]",
            box="(" + ", ".join(f"np.int32({edge})" for edge in box) + ")",
            categories="[np.str_('Peace')]",
            affect="[np.float64(7.0), numpy.float64(3.0), np.float64(5.0)]",
        )
        for box in boxes
    ]
    write_csv(tmp_path / "newer", newer)
    old, new = (read_emotic(tmp_path / name, "train") for name in ("plain", "newer"))
    assert new.fingerprint() == old.fingerprint()
    write_csv(tmp_path / "newer", [csv_row(affect=f"[{unknown}, np.float64(3.0), 5]")])
    kept = read_emotic(tmp_path / "newer", "train", drop_invalid=False)
    np.testing.assert_array_equal(np.isnan(kept.affect[0]), [True, False, False])


@pytest.mark.parametrize("drop_invalid", [True, False])
def test_a_person_without_category_is_left_out_and_counted(tmp_path, drop_invalid):
    persons = [someone([]), Someone(box=(9, 9, 20, 20))]
    write_mat(tmp_path, [Picture(persons)], "test")
    table = read_emotic(tmp_path, "test", drop_invalid=drop_invalid)
    assert table.left_out == {"no category": 1}
    write_csv(tmp_path, [csv_row(categories="[]"), csv_row(box="[9, 9, 20, 20]")])
    table = read_emotic(tmp_path, "train", release="csv", drop_invalid=drop_invalid)
    assert table.left_out == {"no category": 1}


def test_without_annotators_the_combined_labels_count_only_on_demand(tmp_path):
    lonely = Someone(reports=[], combined=(["Fear"], (1, 2, 3)))
    write_mat(tmp_path, [Picture([lonely, someone(box=(9, 9, 20, 20))])], "test")
    assert read_emotic(tmp_path, "test").left_out == {"no annotator": 1}
    kept = read_emotic(tmp_path, "test", drop_invalid=False)
    assert names_of(kept)[0] == ["Fear"]
    assert kept.left_out == {}


# --- ids ------------------------------------------------------------------------------------------


def test_the_same_box_twice(tmp_path):
    persons = [Someone(), someone(box=(9, 9, 20, 20)), Someone()]
    table = read_emotic(write_mat(tmp_path, [Picture(persons)]), "train")
    first, _, again = table.id.tolist()
    assert again == f"{first}#2"


def test_both_sources_give_the_same_table(tmp_path):
    persons = [
        someone(affect=(NAN, 3, 5)),  # whom the converter leaves out
        someone(["Fear", "Pain"], box=(-5, 3.7, 80, 20)),
        someone(["Anger"], (9, 8, 7), box=(7, 8, 9, 10), gender="Male", age="Adult"),
    ]
    write_mat(tmp_path, [Picture(persons)])
    picture = ("mscoco/images", "a.jpg", "[60, 40]")
    rows = [
        (*picture, "[0, 3, 60, 20]", "['Fear', 'Pain']", "[7.0, 3.0, 5.0]", "Female", "Kid"),
        (*picture, "[7, 8, 9, 10]", "['Anger']", "[9, 8, 7]", "Male", "Adult"),
    ]
    write_csv(tmp_path, rows)
    mat, table = (read_emotic(tmp_path, "train", release=name) for name in ("mat", "csv"))
    assert mat.id.tolist() == table.id.tolist()
    assert mat.fingerprint() == table.fingerprint()
    for name, column in mat.extra.items():
        np.testing.assert_array_equal(column, table.extra[name])


# --- where things lie -----------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["Annotations", "."])
@pytest.mark.parametrize("images", ["emotic", "."])
def test_folders_that_may_be_missing(tmp_path, place, images):
    write_mat(tmp_path / "here", [Picture([Someone()])], place=place, images=images)
    write_mat(tmp_path / "usual", [Picture([Someone()])])
    table = read_emotic(tmp_path / "here", "train")
    assert (table.root / table.path[0]).is_file()
    assert table.fingerprint() == read_emotic(tmp_path / "usual", "train").fingerprint()


def test_a_csv_in_the_root(tmp_path):
    write_csv(tmp_path, [csv_row()])
    (tmp_path / "emotic_pre" / "train.csv").rename(tmp_path / "train.csv")
    assert len(read_emotic(tmp_path, "train")) == 1


def test_the_annotation_file_comes_before_the_csv(tmp_path):
    write_mat(tmp_path, [Picture([someone(["Fear"])])])
    write_csv(tmp_path, [csv_row()])
    assert names_of(read_emotic(tmp_path, "train")) == [["Fear"]]
    assert names_of(read_emotic(tmp_path, "train", release="csv")) == [["Peace"]]


def test_missing_pictures_are_an_error_or_counted(tmp_path):
    pictures = [Picture([Someone()]), Picture([Someone(), someone(box=(3, 3, 9, 9))], "gone.jpg")]
    write_mat(tmp_path, pictures)
    (tmp_path / "emotic" / "mscoco" / "images" / "gone.jpg").unlink()
    with pytest.raises(DataError, match=r"2 of 3 persons .*gone\.jpg.*data\.on_error=skip"):
        read_emotic(tmp_path, "train")
    table = read_emotic(tmp_path, "train", on_error="skip")
    assert table.left_out == {"missing picture": 2}
    assert len(table) == 1


def test_a_missing_folder_of_pictures(tmp_path):
    write_mat(tmp_path, [Picture([Someone()]), Picture([Someone()], folder="ade20k/images")])
    for file in (tmp_path / "emotic" / "ade20k" / "images").iterdir():
        file.unlink()
    (tmp_path / "emotic" / "ade20k" / "images").rmdir()
    assert read_emotic(tmp_path, "train", on_error="skip").left_out == {"missing picture": 1}


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("on_error", ["raise", "skip", "keep"])
@pytest.mark.parametrize("folder", ["..", "../../outside", "mscoco/../../../outside", "a\\b"])
def test_a_path_that_leads_out_of_the_release_is_refused(tmp_path, on_error, folder):
    root = tmp_path / "release"
    write_csv(root, [csv_row(), ("mscoco/images", "b.jpg", *csv_row()[2:])])
    listed = root / "emotic_pre/train.csv"
    listed.write_text(listed.read_text().replace("1,mscoco/images", f"1,{folder}"))
    write_pictures(tmp_path, [Picture([], "b.jpg", "outside")])
    with pytest.raises(DataError, match=r"train\.csv, line 3: .*b\.jpg' is not a path below"):
        read_emotic(root, "train", on_error=on_error)


def test_a_picture_that_is_a_link_outside_is_refused(tmp_path):
    root = write_mat(tmp_path / "release", [Picture([Someone()])])
    path = root / "emotic/mscoco/images/a.jpg"
    path.rename(tmp_path / "secret.jpg")
    path.symlink_to(tmp_path / "secret.jpg")
    for on_error in ("raise", "skip"):
        with pytest.raises(DataError, match=r"train\(1\)\.person\(1\): .* is a link to .*secret"):
            read_emotic(root, "train", on_error=on_error)
    assert len(read_emotic(root, "train", on_error="keep")) == 1  # a fault in the data card


@pytest.mark.parametrize("source", RELEASES)
@pytest.mark.parametrize(
    ("categories", "affect", "message"),
    [
        (["Joy"], (7, 3, 5), "'Joy' is no category of EMOTIC"),
        (["Peace"], (0, 3, 5), r"from 1 to 10"),
        (["Peace"], (7, 3, 11), r"from 1 to 10"),
    ],
)
def test_labels_that_cannot_be(tmp_path, source, categories, affect, message):
    if source == "mat":
        write_mat(tmp_path, [Picture([Someone(), someone(categories, affect)])])
        where = r"Annotations\.mat, train\(1\)\.person\(2\)"
    else:
        row = csv_row(categories=str(categories), affect=str(list(affect)))
        write_csv(tmp_path, [csv_row(), row])
        where = r"train\.csv, line 3"
    with pytest.raises(DataError, match=f"{where}.*{message}"):
        read_emotic(tmp_path, "train", release=source)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (csv_row(size="60, 40, 3"), ""),
        (csv_row(size="60"), "Image Size is '60'"),
        (csv_row(box="[1, 2, 3"), r"BBox is '\[1, 2, 3'"),
        (csv_row(box="[1, 2, 3, 'x']"), r"BBox is .*'x'"),
        (csv_row(affect="[7.0, high, 5.0]"), r"Continuous_Labels is '\[7\.0, high, 5\.0\]'"),
        (csv_row(affect="[7.0, np.float64(f(3)), 5]"), "Continuous_Labels is .*f"),
        (csv_row(categories="__import__('os')"), "Categorical_Labels is .*__import__"),
        (csv_row()[:3], "fields"),
    ],
)
def test_a_broken_line_of_a_csv(tmp_path, row, named):
    write_csv(tmp_path, [csv_row(), row])
    with pytest.raises(
        DataError, match=rf"train\.csv, line 3: .*{named}.*Image Size, BBox"
    ) as error:
        read_emotic(tmp_path, "train")
    assert "\n" not in str(error.value)
    assert "object at" not in str(error.value)


def test_a_csv_of_other_columns(tmp_path):
    write_csv(tmp_path, [csv_row()], header="Index,Path,Name,Size,Box,Labels,Values,Gender,Age")
    with pytest.raises(DataError, match=r"KeyError: 'Image Size'.*expected the columns Folder"):
        read_emotic(tmp_path, "train")


@pytest.mark.parametrize("box", [(1, 2, 3), (1, 2, NAN, 4)])
def test_a_box_that_is_none(tmp_path, box):
    write_mat(tmp_path, [Picture([someone(box=box)])])
    with pytest.raises(DataError, match=r"person\(1\): the body box"):
        read_emotic(tmp_path, "train")


def test_an_annotation_file_of_something_else(tmp_path):
    (tmp_path / "Annotations").mkdir()
    path = tmp_path / "Annotations" / "Annotations.mat"
    path.write_bytes(b"no mat file" * 100)
    with pytest.raises(DataError, match=r"Annotations\.mat: cannot read 'train'"):
        read_emotic(tmp_path, "train")
    savemat(path, {"train": structs({"filename": "a.jpg", "person": structs({"bbox": 1})})})
    with pytest.raises(DataError, match=r"train\(1\).*annotations_categories"):
        read_emotic(tmp_path, "train")
    with pytest.raises(DataError, match=r"cannot read 'val' in there: KeyError"):
        read_emotic(tmp_path, "val")


@pytest.mark.parametrize(
    "setting", [{"split": "valid"}, {"release": "json"}, {"on_error": "ignore"}]
)
def test_unknown_settings(tmp_path, setting):
    with pytest.raises(ConfigError, match=f"{next(iter(setting))}=.*choose one of"):
        read_emotic(tmp_path, **{"split": "train"} | setting)


def test_no_release(tmp_path):
    with pytest.raises(DataError, match=r"(?s)is not a folder.*Annotations\.mat.*emotic_pre.*root"):
        read_emotic(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match="has none of these layouts"):
        read_emotic(Path(tmp_path), "val")


def test_nobody_is_left(tmp_path):
    write_mat(tmp_path, [Picture([someone(affect=(NAN, NAN, NAN))])])
    with pytest.raises(DataError, match=r"no person is left in train.*'no valence"):
        read_emotic(tmp_path, "train")
