"""Prediction files: what is written is read again, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from cage_lightning.errors import CageError, DataError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC, LabelSpace, own_space
from cage_lightning.predictions.files import read_predictions, write_predictions
from cage_lightning.predictions.table import Predictions, predictions_of
from cage_lightning.training_statistics import TrainingStatistics
from tests.bit_flips import reads_of_flipped
from tests.present import present

PUBLISHED = "cat_true,cat_pred,val_true,val_pred,aro_true,aro_pred\n"


OWN = (
    own_space("study", ["happy", "Glück", "none"], ["valence", "intensity"], (0, 100)),
    own_space("only affect", [], ["calm"]),
    own_space("only categories", ["b", "a"], []),
)


def made(space: LabelSpace, n: int = 40, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    k, d = len(space.categories), len(space.dimensions)
    category = (
        rng.integers(0, 2, (n, k))
        if space.multi_label
        else np.arange(n) % k
        if k
        else np.full(n, -1)
    )
    affect = rng.uniform(-1, 1, (n, d)).astype(np.float32)
    affect[3, :1] = np.nan
    return predictions_of(
        space,
        rng.normal(size=(n, k)),
        rng.normal(size=(n, d)).astype(np.float32),
        space,
        np.array([f"a/{i}" for i in range(n)]),
        category,
        affect,
        TrainingStatistics("here", n, [1] * k, [0.0] * d, [[None] * d] * k),
        {"video": np.array([f"v{i // 9}" if i % 9 else "" for i in range(n)])},
    )


@pytest.mark.parametrize("space", [AFFECTNET_8, AFFECTNET_7, EMOTIC, *OWN], ids=lambda s: s.name)
def test_what_is_written_is_read(space: LabelSpace, tmp_path: Path) -> None:
    predictions = made(space)
    write_predictions(tmp_path / "p.parquet", predictions)
    read = read_predictions(tmp_path / "p.parquet")
    assert read.space == space
    assert read.training == predictions.training
    for name in ("id", "category", "affect", "category_pred", "probability", "affect_pred"):
        np.testing.assert_array_equal(getattr(read, name), getattr(predictions, name))
    assert {k: v.tolist() for k, v in read.groups.items()} == {
        "video": predictions.groups["video"].tolist()
    }
    assert read.select(np.array([2])).groups["video"].tolist() == ["v0"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"label_space", b"["),
        (b"label_space", b"[" * 100_000),
        (b"label_space", b'{"name": "affectnet8"}'),
        (b"label_space", b'"affectnet8"'),
        (b"training", b"{}"),
        (b"training", b"[1, 2]"),
    ],
)
def test_metadata_that_are_none_of_ours_are_refused(
    key: bytes, value: bytes, tmp_path: Path
) -> None:
    write_predictions(tmp_path / "p.parquet", made(AFFECTNET_8))
    table = pq.read_table(tmp_path / "p.parquet")
    kept = {k: v for k, v in table.schema.metadata.items() if k != b"digest"}
    table = table.replace_schema_metadata(kept | {key: value})
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"p.parquet: not a readable .parquet file: \S"):
        read_predictions(tmp_path / "p.parquet")


@pytest.mark.parametrize("space", [AFFECTNET_8, EMOTIC], ids=lambda s: s.name)
def test_a_flipped_bit_changes_nothing_unseen(space: LabelSpace, tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", made(space))

    def everything(file: Path) -> object:
        read = vars(read_predictions(file)).values()
        return [x.tobytes() if isinstance(x, np.ndarray) else str(x) for x in read]

    outcomes = reads_of_flipped(tmp_path / "p.parquet", 150, everything)
    assert set(outcomes) == {"same", "refused"}, outcomes
    assert len(outcomes) == 150


def test_a_file_without_checksums_is_read(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", made(AFFECTNET_8))
    table = pq.read_table(tmp_path / "p.parquet")
    checksums = (b"digest", b"column_digests")
    metadata = {k: v for k, v in table.schema.metadata.items() if k not in checksums}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "old.parquet")
    assert read_predictions(tmp_path / "old.parquet").training is not None


def test_a_column_that_was_changed_is_named_and_one_that_was_added_is_none(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", made(AFFECTNET_8))
    table = pq.read_table(tmp_path / "p.parquet")
    ages = table.append_column("group_age", pa.array(["old"] * len(table)))
    pq.write_table(ages, tmp_path / "p.parquet")
    assert set(read_predictions(tmp_path / "p.parquet").groups) == {"video", "age"}
    place = table.column_names.index("prob_Fear")
    changed = table.set_column(place, "prob_Fear", table["prob_Anger"])
    pq.write_table(changed, tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"p\.parquet.*its column .prob_Fear. has changed"):
        read_predictions(tmp_path / "p.parquet")
    pq.write_table(table.drop_columns(["prob_Fear"]), tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"p\.parquet.*its column .prob_Fear. has changed"):
        read_predictions(tmp_path / "p.parquet")
    words = table.schema.metadata | {b"column_digests": b"[1]"}
    pq.write_table(table.replace_schema_metadata(words), tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"p\.parquet.*its checksums have changed"):
        read_predictions(tmp_path / "p.parquet")


@pytest.mark.parametrize("space", [AFFECTNET_8, AFFECTNET_7], ids=lambda s: s.name)
def test_the_same_columns_as_csv(space: LabelSpace, tmp_path: Path) -> None:
    predictions = made(space)
    write_predictions(tmp_path / "p.parquet", predictions)
    pyarrow.csv.write_csv(pq.read_table(tmp_path / "p.parquet"), tmp_path / "p.csv")
    read = read_predictions(tmp_path / "p.csv")
    assert read.space == space
    np.testing.assert_array_equal(read.category, predictions.category)
    np.testing.assert_allclose(
        present(read.affect_pred), present(predictions.affect_pred), atol=1e-6
    )


def test_several_categories_in_a_csv(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text("category_true,category_pred\nFear;Pain,Pain\n,Fear\n")
    read = read_predictions(file, "emotic")
    fear, pain = EMOTIC.categories.index("Fear"), EMOTIC.categories.index("Pain")
    assert np.argwhere(present(read.category)).tolist() == [[0, fear], [0, pain]]
    assert np.argwhere(present(read.category_pred)).tolist() == [[0, pain], [1, fear]]


def test_the_published_layout(tmp_path: Path) -> None:
    file = tmp_path / "inference.csv"
    file.write_text(PUBLISHED + "0,7,0.5,0.25,-0.5,1.25\n7,1,-0.5,0,0.125,0\n")
    read = read_predictions(file)
    assert read.space == AFFECTNET_8
    assert present(read.category).tolist() == [0, 7]
    assert present(read.category_pred).tolist() == [7, 1]
    assert read.affect.tolist() == [[0.5, -0.5], [-0.5, 0.125]]
    assert present(read.affect_pred).tolist() == [[0.25, 1.25], [0, 0]]
    assert read.probability is None
    file.write_text(PUBLISHED + "0,6,0.5,0.25,-0.5,1.25\n")
    assert read_predictions(file).space == AFFECTNET_7
    assert read_predictions(file, "affectnet8").space == AFFECTNET_8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cat_true,cat_pred\n0,7\n", "label_space="),  # who never saw Contempt may not say it
        ("cat_true,cat_pred\n0,9\n", "label_space="),
        ("a,b\n0,1\n", "nothing is predicted"),
        ("cat_pred,cat_x\n0,1\n", "'category_true'"),
        ("cat_true,id\n0,1\n", "nothing is predicted"),
        ("val_true,val_pred\n0,1\n", "'arousal_pred'"),
        ("val_true,val_pred,aro_true,aro_pred\n0,1,2,0\n", "row 0: true affect"),
        ("val_true,val_pred,aro_true,aro_pred\n0,,1,0\n", "row 0: predicted affect"),
        ("val_true,val_pred,aro_true,aro_pred\n0,x,1,0\n", "row 0: valence_pred is 'x'"),
        ("cat_true,cat_pred\n", "no row"),
        ("", "not a readable"),
        ("a,b\n1,2,3\n", "not a readable"),
    ],
)
def test_a_faulty_file_is_named(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text(content)
    space = None if "label_space" in message else "affectnet7"
    with pytest.raises(CageError, match=message) as caught:
        read_predictions(file, space)
    assert "p.csv" in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CageError, match="there is no prediction file"):
        read_predictions(tmp_path / "p.csv")
    (tmp_path / "p.txt").touch()
    with pytest.raises(CageError, match="parquet or"):
        read_predictions(tmp_path / "p.txt")
    (tmp_path / "p.parquet").write_text("no")
    with pytest.raises(CageError, match="not a readable"):
        read_predictions(tmp_path / "p.parquet")
    write_predictions(tmp_path / "q.parquet", made(EMOTIC))
    with pytest.raises(CageError, match="of emotic"):
        read_predictions(tmp_path / "q.parquet", "affectnet8")
