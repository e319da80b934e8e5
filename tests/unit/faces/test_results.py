"""Rows of a source: all files are in them, killed and continued they are the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor

from cage_lightning.deploy.expressions import Expressions
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.faces.face import Face, Faces, Picture
from cage_lightning.faces.pipeline import BEGIN, Looked, Position, finding, look
from cage_lightning.faces.results import Counts, Results
from cage_lightning.faces.rows import Follower, make_schema
from cage_lightning.faces.sources import Item, list_items
from cage_lightning.faces.tables import read_rows
from cage_lightning.labels import AFFECTNET_8, EMOTIC, LabelSpace
from tests.unit.faces.test_frames import write_video

CROP = Preprocessing(8).crop


class Quarters:
    """As many faces as the brightness of the first pixel says, each a quarter of the picture."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def detect(self, pictures: Sequence[Picture]) -> list[Faces]:
        self.batches.append(len(pictures))
        return [
            tuple(
                Face((10.0 * n, 0.0, 10.0 * n + 10, 10.0), 0.5) for n in range(picture[0, 0, 0] % 3)
            )
            for picture in pictures
        ]


def infer(crops: Tensor, space: LabelSpace = AFFECTNET_8) -> Expressions:
    mean = crops.float().mean((1, 2, 3))[:, None].div(255).numpy()
    affect = np.repeat(mean, len(space.dimensions), axis=1)
    return Expressions(space, np.repeat(mean, len(space.categories), axis=1), affect)


NOTHING = infer(torch.zeros(0, 3, 8, 8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures with 0 to 2 faces, and a broken one after every three."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(12):
        pixels = np.random.default_rng(n).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        pixels[0, 0] = n % 3
        Image.fromarray(pixels).save(folder / f"{n:02}.png")
        if n % 3 == 2:
            (folder / f"{n:02}-broken.jpg").write_bytes(b"nothing")
    return folder


def looked(items: Sequence[Item], start: Position = BEGIN, **settings: Any) -> Iterator[Looked]:
    return look(items, finding(Quarters()), infer, CROP, start=start, **{"frames": 4} | settings)


def results(output: Path, **about: Any) -> Results:
    return Results(output, make_schema(NOTHING, "none"), {"settings": about})


def follow() -> Any:
    return Follower("none", ("valence", "arousal")).follow


def write(to: Results, items: Sequence[Item], stop_after: int = 1000) -> Counts | None:
    """Write rows as the command does, until so many parts are there."""
    with to.opened() as start:
        for n, found in enumerate(looked(items, start), 1):
            to.add(found.rows, found.after)
            if n == stop_after:
                return None
        return to.write(follow())


def test_every_file_is_in_the_rows(folder: Path, tmp_path: Path) -> None:
    items = list_items(str(folder))
    counts = write(results(tmp_path / "a.parquet"), items)
    assert counts == Counts(files=16, frames=0, faces=12, faults=4)
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert {row["file"] for row in rows} == {item.place for item in items}
    by_file = {item.place: [r for r in rows if r["file"] == item.place] for item in items}
    for name, members in by_file.items():
        if "broken" in name:
            assert [row["fault"] for row in members] == [members[0]["fault"]]
            assert "UnidentifiedImageError" in members[0]["fault"]
            assert members[0]["faces"] is None
        else:
            number = int(Path(name).stem) % 3
            assert [row["faces"] for row in members] == [number] * max(1, number)
            assert [row["face"] for row in members if number] == [*range(number)]
            assert all((row["valence"] is None) == (number == 0) for row in members)


def test_a_job_that_was_killed_gives_the_same_rows(folder: Path, tmp_path: Path) -> None:
    items = list_items(str(folder))
    write(results(tmp_path / "whole.parquet"), items)
    for parts in (1, 2):
        name = f"killed{parts}.parquet"
        assert write(results(tmp_path / name), items, stop_after=parts) is None
        assert not (tmp_path / name).exists()
        write(results(tmp_path / name), items)
        assert pq.read_table(tmp_path / name).equals(pq.read_table(tmp_path / "whole.parquet"))
        assert not (tmp_path / f"{name}.parts").exists()


def test_a_partial_result_can_be_read_and_goes_when_the_job_is_done(
    folder: Path, tmp_path: Path
) -> None:
    items = list_items(str(folder))
    job = results(tmp_path / "a.csv")
    write(job, items, stop_after=2)
    assert job.write(follow(), partial=True).files == 8
    assert len(pa_csv.read_csv(tmp_path / "a.partial.csv")) == len(
        list(read_rows(tmp_path / "a.partial.csv", job.schema))
    )
    write(job, items)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.csv",
        "a.csv.meta.json",
        "photos",
    ]


def test_another_job_is_told_apart(folder: Path, tmp_path: Path) -> None:
    items = list_items(str(folder))
    output = tmp_path / "a.parquet"
    write(results(output, threshold=0.5), items, stop_after=1)
    with pytest.raises(ConfigError, match="unfinished job with other settings"):
        write(results(output, threshold=0.6), items)
    write(results(output, threshold=0.5), items)
    assert results(output, threshold=0.5).finished() == Counts(16, 0, 12, 4)
    with pytest.raises(ConfigError, match="other settings"):
        results(output, threshold=0.6).finished()


def test_what_is_no_result_of_ours_is_not_overwritten(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.csv", "a.jsonl"):
        (tmp_path / name).write_text("mine", encoding="utf-8")
        with pytest.raises(ConfigError, match="is there already"):
            results(tmp_path / name).finished()
    (tmp_path / "a.csv.meta.json").write_text("[", encoding="utf-8")
    with pytest.raises(ConfigError, match="is there already"):
        results(tmp_path / "a.csv").finished()


def test_a_part_that_is_damaged(folder: Path, tmp_path: Path) -> None:
    job = results(tmp_path / "a.parquet")
    write(job, list_items(str(folder)), stop_after=1)
    (part,) = job.folder.glob("part-*")
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"part-00000000.parquet is damaged"):
        write(job, list_items(str(folder)))


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
@pytest.mark.parametrize("space", [AFFECTNET_8, EMOTIC])
def test_rows_read_back_are_the_same(tmp_path: Path, ending: str, space: LabelSpace) -> None:
    values = infer(torch.full((1, 3, 8, 8), 200, dtype=torch.uint8), space)
    schema = make_schema(values, "none")
    rows = [
        {
            "file": 'a, "b"\n.jpg',
            "faces": 1,
            "face": 0,
            **{k: v[0] for k, v in values.columns().items()},
        },
        {"file": "b.mp4", "frame": 3, "time_s": 0.1, "faces": 0},
        {"file": "ä.jpg", "fault": "none"},
    ]
    output = Results(tmp_path / f"a{ending}", schema, {})
    with output.opened():
        output.add(rows, BEGIN)
        output.write(follow())
    found = list(read_rows(output.output, schema))
    assert [row["file"] for row in found] == [row["file"] for row in rows]
    assert found[0]["valence"] == pytest.approx(200 / 255, abs=1e-7)
    assert found[1]["frame"] == 3
    assert found[1]["valence"] is None
    assert [row["fault"] for row in found] == [None, None, "none"]
    categories = list(space.categories) if space.multi_label else space.categories[0]
    assert found[0]["category"] == (
        ";".join(categories) if space.multi_label and ending == ".csv" else categories
    )
    if ending == ".jsonl":
        lines = output.output.read_text(encoding="utf-8").splitlines()
        assert json.loads(lines[0])["valence"] == 0.784313738


def test_frames_and_faces_go_in_batches(folder: Path) -> None:
    detector, sizes = Quarters(), []

    def counted(crops: Tensor) -> Expressions:
        sizes.append(len(crops))
        return infer(crops)

    list(look(list_items(str(folder)), finding(detector), counted, CROP, frames=8, batch_size=5))
    assert detector.batches == [6, 6]
    assert sizes == [5, 1, 5, 1]


def test_large_frames_are_looked_at_in_smaller_numbers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cage_lightning.faces.pipeline._PIXELS", 500)
    first = next(looked(list_items(str(folder))))
    assert first.frames == 2  # of 400 pixels each


def test_a_video_goes_on_at_its_frame(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", range(0, 1000, 100))
    write_video(tmp_path / "b.mkv", range(0, 300, 100))
    items = list_items([str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv")])
    whole = list(looked(items))
    assert [found.after for found in whole] == [(0, 4), (0, 8), (1, 2), (2, 0)]
    for n, found in enumerate(whole[:-1]):
        assert list(looked(items, start=found.after)) == whole[n + 1 :]
    assert list(looked(items, start=whole[-1].after)) == []


def test_an_error_in_the_thread_that_reads_ends_the_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(item: Item) -> None:
        raise MemoryError(item.place)

    monkeypatch.setattr("cage_lightning.faces.pipeline.read_picture", broken)
    with pytest.raises(MemoryError):
        list(looked(list_items(str(folder))))
