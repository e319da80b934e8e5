"""FER+: the column with most votes, in an order of its own, from one list and from a list each."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cage_lightning.app import build, nodes
from cage_lightning.commands.prepare import prepare as run_prepare
from cage_lightning.data.readers.ferplus import VOTES, read_ferplus
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8
from tests.affectnet_layouts import picture
from tests.conftest import Command, composed

HEADER = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
)
# Written out, not computed: the canonical index of each of the first eight columns.
CANONICAL = (0, 1, 3, 2, 6, 5, 4, 7)
FOLDERS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
USAGE = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}

Row = tuple[str, str, tuple[int, ...]]


def alone(column: int) -> tuple[int, ...]:
    """Ten votes for one column."""
    return tuple(10 * (k == column) for k in range(10))


# The splits share votes but no name; each of the ten columns leads once.
ROWS: list[Row] = [
    (usage, f"fer{n:07d}.png", alone(n % 10))
    for usage, numbers in (
        ("Training", range(10)),
        ("PublicTest", range(10, 20)),
        ("PrivateTest", range(20, 30)),
    )
    for n in numbers
]


def write_pictures(root: Path, rows: list[Row]) -> None:
    for folder in FOLDERS.values():
        (root / folder).mkdir(parents=True, exist_ok=True)
    for n, (usage, name, _) in enumerate(rows):
        if name:
            (root / FOLDERS[usage] / name).write_bytes(picture(".png", n % 256, (48, 48)))


def write_list(root: Path, rows: list[Row]) -> Path:
    write_pictures(root, rows)
    path = root / "fer2013new.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER.split(","))
        writer.writerows([usage, name, *votes] for usage, name, votes in rows)
    return path


def write_folder_lists(root: Path, rows: list[Row], box: tuple[str, ...] = ()) -> None:
    """The lists that the authors' script writes: without header, without rows that have no name."""
    write_pictures(root, rows)
    for usage, folder in FOLDERS.items():
        with (root / folder / "label.csv").open("w", newline="") as file:
            csv.writer(file).writerows(
                [name, *box, *votes] for of, name, votes in rows if of == usage and name
            )


def expected(row: Row, space: str) -> int | str:
    """The category, or why there is none."""
    _, name, votes = row
    if not name:
        return "no picture name"
    best = sorted(votes)[-1]
    leaders = [k for k, n in enumerate(votes) if n == best]
    if len(leaders) > 1:
        return "tie"
    (leader,) = leaders
    if leader == 8:
        return "unknown"
    if leader == 9:
        return "no face"
    return "contempt" if leader == 7 and space == "7" else CANONICAL[leader]


@st.composite
def votes_of_ten(draw: st.DrawFn) -> tuple[int, ...]:
    votes = [0] * 10
    for _ in range(draw(st.sampled_from([10, 10, 9, 1]))):
        # Few columns, so that they often tie.
        votes[draw(st.sampled_from(draw(st.sampled_from([range(10), (0, 4), (7, 8, 9)]))))] += 1
    return tuple(votes)


@settings(max_examples=30, deadline=None)
@given(
    contents=st.lists(
        st.tuples(st.sampled_from(list(FOLDERS)), st.booleans(), votes_of_ten()), max_size=15
    ),
    space=st.sampled_from(["7", "8"]),
    write=st.sampled_from([write_list, write_folder_lists]),
)
def test_any_table_of_votes(contents, space, write):
    rows = [(u, f"fer{n:07d}.png" * named, v) for n, (u, named, v) in enumerate(contents)]
    spaces = {"7": AFFECTNET_7, "8": AFFECTNET_8}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), rows)
        for split, usage in USAGE.items():
            own = [r for r in rows if r[0] == usage and (r[1] or write is write_list)]
            labels = [expected(row, space) for row in own]
            kept = [row for row, label in zip(own, labels, strict=True) if label in range(8)]
            if not kept:
                with pytest.raises(DataError, match="no row is left"):
                    read_ferplus(Path(folder), split, spaces[space])
                continue
            table = read_ferplus(Path(folder), split, spaces[space])
            assert table.path.tolist() == [f"{FOLDERS[usage]}/{name}" for _, name, _ in kept]
            assert [f"{i}.png" for i in table.id] == [name for _, name, _ in kept]
            assert table.category.tolist() == [label for label in labels if label in range(8)]
            reasons = [label for label in labels if isinstance(label, str)]
            assert table.left_out == {r: reasons.count(r) for r in reasons}
            assert table.extra["votes"].dtype == np.int64
            assert table.extra["votes"].tolist() == [list(votes) for _, _, votes in kept]
            assert table.affect.shape == (len(kept), 2)
            assert table.affect.dtype == np.float32
            assert np.isnan(table.affect).all()


@pytest.mark.parametrize("split", USAGE)
def test_the_columns_are_not_the_codes_of_affectnet(tmp_path, split):
    write_list(tmp_path, ROWS)
    table = read_ferplus(tmp_path, split, AFFECTNET_8)
    names = [AFFECTNET_8.categories[k].lower() for k in table.category]
    assert names == HEADER.split(",")[2:10]
    assert table.left_out == {"no face": 1, "unknown": 1}
    assert list(VOTES) == HEADER.split(",")[2:]


def test_most_votes_need_not_be_half_and_the_last_columns_take_part(tmp_path):
    votes = [
        (3, 2, 2, 2, 1, 0, 0, 0, 0, 0),  # neutral leads with less than half
        (2, 2, 2, 2, 2, 0, 0, 0, 0, 0),
        (4, 0, 0, 0, 0, 0, 0, 0, 0, 5),
        (4, 0, 0, 0, 0, 0, 0, 0, 4, 2),
        (3, 0, 0, 0, 0, 0, 0, 0, 4, 3),
    ]
    write_list(tmp_path, [("Training", f"fer{n}.png", v) for n, v in enumerate(votes)])
    table = read_ferplus(tmp_path, "train", AFFECTNET_8)
    assert (table.id.tolist(), table.category.tolist()) == (["fer0"], [0])
    assert table.left_out == {"tie": 2, "no face": 1, "unknown": 1}


@pytest.mark.parametrize("box", [(), ("(0, 0, 48, 48)",)])
def test_the_lists_of_the_folders_say_the_same(tmp_path, box):
    write_list(tmp_path / "one", ROWS)
    write_folder_lists(tmp_path / "each", ROWS, box)
    for split in USAGE:
        one, each = (read_ferplus(tmp_path / f, split, AFFECTNET_8) for f in ("one", "each"))
        assert one.fingerprint() == each.fingerprint()
        assert one.left_out == each.left_out


def test_a_box_that_is_not_the_whole_picture_is_refused(tmp_path):
    write_folder_lists(tmp_path, ROWS, ("(4, 4, 40, 40)",))
    with pytest.raises(DataError, match=r"Train/label\.csv, line 1: .*\(4, 4, 40, 40\)"):
        read_ferplus(tmp_path, "train", AFFECTNET_8)


GOOD = "Training,fer0000003.png,10,0,0,0,0,0,0,0,0,0"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (GOOD.replace("10", "11"), r"votes are \[11"),
        (GOOD.replace("10", "0"), r"votes are \[0"),
        (GOOD.replace("10,0", "11,-1"), r"votes are \[11, -1"),
        (GOOD.replace("10", "ten"), "'ten'"),
        (GOOD.replace("10", "9.5"), "'9.5'"),
        (GOOD.replace("10", ""), "''"),
        (GOOD + ",0", "begins with"),
        (GOOD.replace(",0", "", 1), "fer0000003"),
        (GOOD.replace("Training", "Test"), "begins with.*'Test'"),
        ("Training", "Training"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, line, message):
    path = write_list(tmp_path, ROWS)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], line, *lines[5:]]))
    for split in USAGE:
        with pytest.raises(DataError, match=rf"new\.csv, line 5: .*{message}.*Usage,Image name"):
            read_ferplus(tmp_path, split, AFFECTNET_8)


def test_a_list_in_another_order_is_refused(tmp_path):
    path = write_list(tmp_path, ROWS)
    text = path.read_text()
    path.write_text(text.replace("surprise,sadness", "sadness,surprise", 1))
    with pytest.raises(DataError, match=r"line 1: the header is .*sadness,surprise"):
        read_ferplus(tmp_path, "train", AFFECTNET_8)
    path.write_text(text.partition("\n")[2])
    with pytest.raises(DataError, match=r"line 1: the header is .Training,fer0000000"):
        read_ferplus(tmp_path, "train", AFFECTNET_8)


@pytest.mark.parametrize("write", [write_list, write_folder_lists])
def test_a_picture_that_is_listed_twice_counts_once(tmp_path, write):
    rows = [ROWS[3], *ROWS[:3], ("Training", ROWS[3][1], alone(1)), *ROWS[4:], ROWS[3]]
    write(tmp_path, rows)
    table = read_ferplus(tmp_path, "train", AFFECTNET_8)
    assert [f"{i}.png" for i in table.id] == [ROWS[n][1] for n in (3, 0, 1, 2, 4, 5, 6, 7)]
    assert table.category[0] == CANONICAL[3]
    assert table.left_out == {"no face": 1, "unknown": 1, "picture listed before": 2}
    assert "picture listed before" not in read_ferplus(tmp_path, "test", AFFECTNET_8).left_out


@pytest.mark.parametrize(("space", "k"), [(AFFECTNET_8, 8), (AFFECTNET_7, 7)])
def test_the_shares_are_those_of_the_votes_for_the_categories(tmp_path, space, k):
    votes = [(4, 1, 0, 0, 0, 0, 0, 3, 2, 0), (0, 0, 1, 3, 0, 0, 0, 0, 0, 1)]
    write_list(tmp_path, [("Training", f"fer{n}.png", v) for n, v in enumerate(votes)])
    table = read_ferplus(tmp_path, "train", space)
    # neutral, happiness, sadness, surprise, fear, disgust, anger, contempt
    of_first = [4 / 8, 1 / 8, 0, 0, 0, 0, 0, 3 / 8] if k == 8 else [0.8, 0.2, 0, 0, 0, 0, 0]
    of_second = [0, 0, 0.75, 0.25, 0, 0, 0, 0][:k]
    assert table.soft is not None
    np.testing.assert_array_equal(table.soft, np.array([of_first, of_second], np.float32))


def test_the_log_says_which_list_is_read(tmp_path, caplog):
    caplog.set_level("INFO")
    write_folder_lists(tmp_path, ROWS)
    assert read_ferplus(tmp_path, "val", AFFECTNET_8).origin == "FER2013Valid/label.csv"
    each = tmp_path / "FER2013Valid/label.csv"
    assert caplog.messages == [f"FER+ val: reading {each}"]
    write_list(tmp_path, ROWS)
    assert read_ferplus(tmp_path, "val", AFFECTNET_8).origin == "fer2013new.csv"
    assert f"{each}, which gives some faces other votes, is not read" in caplog.messages
    assert caplog.messages[-1] == f"FER+ val: reading {tmp_path / 'fer2013new.csv'}"


def test_a_missing_picture_is_an_error_or_left_out(tmp_path):
    write_list(tmp_path, ROWS)
    (tmp_path / "FER2013Valid/fer0000014.png").unlink()
    with pytest.raises(DataError, match=r"line 16: 1 of 10 pictures .*fer0000014.*on_error=skip"):
        read_ferplus(tmp_path, "val", AFFECTNET_8)
    counts = {"unknown": 1, "no face": 1}
    skipped = read_ferplus(tmp_path, "val", AFFECTNET_8, "skip")
    assert (len(skipped), skipped.left_out) == (7, counts | {"missing picture": 1})
    kept = read_ferplus(tmp_path, "val", AFFECTNET_8, "keep")
    assert (len(kept), kept.left_out) == (8, counts)


def test_pictures_that_nobody_voted_on_are_counted(tmp_path):
    write_list(tmp_path, ROWS)
    (tmp_path / "FER2013Test/fer0000099.png").write_bytes(picture(".png"))
    table = read_ferplus(tmp_path, "test", AFFECTNET_8)
    assert table.left_out == {"unknown": 1, "no face": 1, "picture without label": 1}


@pytest.mark.parametrize("name", ["../secret.png", "/secret.png", "linked.png"])
def test_no_picture_lies_outside(tmp_path, name):
    root = tmp_path / "root"
    (tmp_path / "secret.png").write_bytes(picture(".png"))
    path = write_list(root, ROWS)
    (root / "FER2013Train/linked.png").symlink_to(tmp_path / "secret.png")
    with path.open("a") as file:
        file.write(f"Training,{name},10,0,0,0,0,0,0,0,0,0\n")
    with pytest.raises(DataError, match=r"new\.csv, line 32: the picture .*outside|not a path"):
        read_ferplus(root, "train", AFFECTNET_8)


def test_what_may_be_asked_for(tmp_path):
    with pytest.raises(ConfigError, match="split=valid: choose one of train, val, test"):
        read_ferplus(tmp_path, "valid", AFFECTNET_8)
    with pytest.raises(ConfigError, match="on_error=drop: choose one of raise, skip, keep"):
        read_ferplus(tmp_path, "val", AFFECTNET_8, "drop")  # type: ignore[arg-type]  # no such choice
    with pytest.raises(DataError, match=r"No FER\+ annotations for the val split(.|\n)*label\.csv"):
        read_ferplus(tmp_path, "val", AFFECTNET_8)


@pytest.mark.parametrize("protocol", ["paper", "published_code"])
def test_the_epoch_is_chosen_on_the_releases_own_split(tmp_path, protocol):
    write_list(tmp_path, ROWS)
    settings = ("data=ferplus", "model=tiny", f"data.root={tmp_path}", "loss=discrete")
    data = build.build_data(composed(*settings, f"protocol={protocol}"))
    data.setup("fit")
    splits = (data.train, data.val, data.test)
    assert [t.path[0].partition("/")[0] for t in splits] == list(FOLDERS.values())
    assert data.class_weights() == pytest.approx([1 / 8] * 8)
    for setting, choices in (
        ("selection=holdout", "val"),
        ("label_space=emotic", "affectnet8, affectnet7"),
    ):
        with pytest.raises(ConfigError, match=rf"data\.{setting}: choose one of {choices}$"):
            build.build_data(composed(*settings, f"data.{setting}"))


def test_the_packed_store_keeps_the_votes(tmp_path, monkeypatch):
    monkeypatch.setattr("cage_lightning.commands.prepare.start_logging", lambda file: None)
    write_list(tmp_path / "release", ROWS)
    settings = ("data=ferplus", f"data.root={tmp_path / 'release'}")
    card = run_prepare(composed(*settings, config_name="prepare"))
    assert card["splits"]["val"]["left_out"] == {"no face": 1, "unknown": 1}
    packed = nodes.build_source(composed(*settings, config_name="analyze")).own_split("val")
    read = read_ferplus(tmp_path / "release", "val", AFFECTNET_8)
    assert packed.packed is not None
    assert packed.fingerprint() == read.fingerprint()
    np.testing.assert_array_equal(packed.extra["votes"], read.extra["votes"])
    assert packed.origin == read.origin == "fer2013new.csv"


def test_a_run_from_start_to_finish(command: Command, tmp_path: Path) -> None:
    write_list(tmp_path / "ferplus", ROWS)
    settings = ("model=tiny", "trainer=cpu", "trainer.max_epochs=1", "data.num_workers=0")
    command("train", "data=ferplus", "data.root=ferplus", "loss=discrete", *settings)
    (file,) = tmp_path.glob("runs/default/ferplus-tiny-discrete-s0/metrics.json")
    metrics = json.loads(file.read_text())
    assert metrics["test/n"] == 8
    assert metrics["meta"]["selection"]["split"] == "val"
    assert metrics["meta"]["data"]["test"]["left_out"] == {"no face": 1, "unknown": 1}
    assert metrics["meta"]["data"]["test"]["origin"] == "fer2013new.csv"
