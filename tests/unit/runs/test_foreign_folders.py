"""Run folders of strangers: nothing is read or written through links and odd files in them."""

from __future__ import annotations

import os
import zlib
from functools import cache
from pathlib import Path

import pytest
from omegaconf import DictConfig
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cage_lightning.app.build import checkpoint_of
from cage_lightning.commands.collect import collect
from cage_lightning.commands.evaluate import evaluate
from cage_lightning.commands.score import score
from cage_lightning.commands.train import train
from cage_lightning.errors import CageError, ConfigError, DataError, OutputError
from cage_lightning.report.page.pictures import embed
from cage_lightning.runs.folder import RunFolder
from cage_lightning.system import atomic
from cage_lightning.system.atomic import locked, open_log, write_atomic
from tests.conftest import TINY, composed
from tests.fabricated_runs import write_run

SECRET = "PRIVATE KEY"
IN_A_RUN = (
    ".lock",
    ".part-1-0",
    "checkpoints",
    "checkpoints/best.ckpt",
    "checkpoints/last.ckpt",
    "config.yaml",
    "csv",
    "csv/version_7",
    "error.txt",
    "evaluations",
    "figures",
    "figures/figure9.png",
    "predictions.parquet",
    "tensorboard",
    "train.log",
    "wandb",
)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else, which holds a secret."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "key").write_text(SECRET)
    return folder


def untouched(outside: Path) -> bool:
    return [(f.name, f.read_text()) for f in outside.iterdir()] == [("key", SECRET)]


def link(path: Path, outside: Path) -> None:
    """Make a link to the secret, or to its folder where the path is that of a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(outside / "key" if "." in path.name else outside)


@cache
def tiny() -> DictConfig:
    return composed(*TINY)


def config_in(tmp_path: Path) -> DictConfig:
    config = tiny().copy()
    config.runs = str(tmp_path / "runs")
    return config


def refused_by_train(tmp_path: Path) -> str:
    with pytest.raises(CageError) as refused:
        train(config_in(tmp_path))
    (message,) = str(refused.value).splitlines()
    return message


def run_in(tmp_path: Path) -> Path:
    return RunFolder.of(config_in(tmp_path)).path


@pytest.mark.parametrize("name", IN_A_RUN)
def test_no_training_follows_a_link_out_of_its_folder(
    tmp_path: Path, outside: Path, name: str
) -> None:
    link(run_in(tmp_path) / name, outside)
    assert str(run_in(tmp_path) / name) in refused_by_train(tmp_path)
    assert untouched(outside)


def test_a_link_to_nothing_makes_nothing(tmp_path: Path, outside: Path) -> None:
    link(run_in(tmp_path) / "train.log", outside / "new")
    assert "new/key" in refused_by_train(tmp_path)
    assert untouched(outside)


@pytest.mark.parametrize("name", ["metrics.json", "config.yaml"])
def test_a_finished_run_is_its_own(tmp_path: Path, outside: Path, name: str) -> None:
    run = run_in(tmp_path)
    run.mkdir(parents=True)
    (run / "metrics.json").write_text("{}")
    link(run / name, outside)
    assert str(run / name) in refused_by_train(tmp_path)
    assert untouched(outside)


@pytest.mark.parametrize("name", [".lock", "train.log", "checkpoints/last.ckpt"])
def test_no_training_waits_for_a_pipe(tmp_path: Path, name: str) -> None:
    place = run_in(tmp_path) / name
    place.parent.mkdir(parents=True)
    os.mkfifo(place)
    assert f"{place} is neither a file nor a folder" in refused_by_train(tmp_path)


def test_the_folder_itself_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "scratch/run/checkpoints").mkdir(parents=True)
    (tmp_path / "run").symlink_to("scratch/run")
    (tmp_path / "run/checkpoints/last.ckpt").symlink_to("best.ckpt")  # links inside are allowed
    # W&B makes links to its own logs.
    (tmp_path / "run/wandb").mkdir()
    (tmp_path / "run/wandb/debug.log").symlink_to(tmp_path)
    with RunFolder(tmp_path / "run").locked():
        assert (tmp_path / "scratch/run/.lock").is_file()


def test_a_lock_leaves_the_file_as_it_is(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "lock").write_text("kept")
    with locked(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").read_text() == "kept"
    link(tmp_path / ".lock", outside)
    with pytest.raises(DataError, match=r"\.lock is a link to .*key"), locked(tmp_path / ".lock"):
        pass
    assert untouched(outside)


def test_a_log_with_other_names_leaves_them_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "backup.log").write_text("old\n")
    os.link(tmp_path / "backup.log", tmp_path / "train.log")
    for line in ("new\n", "newer\n"):
        with open_log(tmp_path / "train.log") as log:
            log.write(line)
    assert (tmp_path / "backup.log").read_text() == "old\n"
    assert (tmp_path / "train.log").read_text() == "old\nnew\nnewer\n"


def test_nobody_knows_where_a_file_is_written_before_it_has_its_name(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda count: "guessed")
    (tmp_path / f"{atomic._PART}guessed").symlink_to(outside / "key")
    with pytest.raises(OutputError, match="File exists"):
        write_atomic(tmp_path / "file", "content")
    assert untouched(outside)
    monkeypatch.undo()
    link(tmp_path / "train.log", outside)
    write_atomic(tmp_path / "train.log", "content")  # it replaces the link
    assert untouched(outside)
    assert (tmp_path / "train.log").read_text() == "content"


def test_the_best_epoch_of_a_run_is_its_own(tmp_path: Path, outside: Path) -> None:
    link(tmp_path / "run/checkpoints/best.ckpt", outside)
    with pytest.raises(DataError, match=r"best\.ckpt leads to .*key, outside"):
        checkpoint_of(str(tmp_path / "run"))
    # A checkpoint that is named directly is the user's own choice.
    assert checkpoint_of(str(tmp_path / "run/checkpoints/best.ckpt")).is_file()


@pytest.mark.parametrize("name", ["evaluations", "evaluations/demo8", "evaluations/demo8/figures"])
def test_an_evaluation_stays_in_the_run_folder(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    best = tmp_path / "run/checkpoints/best.ckpt"
    write_atomic(best, "weights")
    link(tmp_path / "run" / name, outside)
    monkeypatch.setattr(
        "cage_lightning.commands.evaluate._module", lambda *_: pytest.fail("the work")
    )
    config = composed("data=demo8", f"checkpoint={best}", config_name="evaluate")
    with pytest.raises(DataError, match=rf"run/evaluations.* leads to {outside}.*, outside"):
        evaluate(config)
    assert untouched(outside)


def test_scores_are_not_read_from_elsewhere(tmp_path: Path, outside: Path) -> None:
    run = write_run(tmp_path, "data=affectnet8", "model=maxvit")
    (outside / "key").write_text('{"meta": {"secret": 1}}')
    link(run / "metrics.json", outside)
    predictions = f"predictions={run / 'predictions.parquet'}"
    with pytest.raises(DataError, match=r"metrics\.json leads to"):
        score(composed(predictions, "resamples=10", config_name="score"))


def collected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Return the page and the printed text."""
    asked = ("table=table6", f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}")
    collect(composed(*asked, config_name="collect"))
    page = (tmp_path / "out/page.html").read_text(encoding="utf-8")
    return page, " ".join(capsys.readouterr().out.split())


def test_a_page_shows_nothing_that_a_link_leads_to(
    tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = write_run(tmp_path / "runs", "data=affectnet8", "model=maxvit")
    stopped = write_run(tmp_path / "runs", "data=affectnet8", "seed=1", finished=False)
    Image.new("RGB", (30, 30)).save(outside / "photo.png")
    (outside / "run").mkdir()
    elsewhere = outside / "run/metrics.csv"
    elsewhere.write_text((done / "csv/version_1/metrics.csv").read_text())
    (done / "csv/version_1/metrics.csv").unlink()
    for place, target in (
        (done / "figures/figure9.png", outside / "photo.png"),
        (done / "csv/version_1/metrics.csv", elsewhere),
        (done / "evaluations", outside),
        (stopped / "train.log", outside / "key"),
        (stopped / "error.txt", outside / "key"),
    ):
        place.parent.mkdir(exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(target)
    page, printed = collected(tmp_path, capsys)
    assert SECRET not in page
    assert "Confusion matrix" not in page
    for name in ("train.log", "error.txt", "figures/figure9.png", "csv/version_1/metrics.csv"):
        assert f"/{name}" in page
        assert f"/{name}" in printed
    assert "1 not finished" in page  # the text behind the link is not shown as the error


@pytest.mark.parametrize("name", ["metrics.json", "config.yaml"])
def test_no_result_is_that_of_a_link(
    tmp_path: Path, outside: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "runs", "data=affectnet8", "model=maxvit")
    (outside / name).write_text((run / name).read_text())
    (run / name).unlink()
    (run / name).symlink_to(outside / name)
    with pytest.raises(ConfigError, match=rf"no finished run .*{name} leads to"):
        collected(tmp_path, capsys)


def bomb(file: Path, width: int, height: int) -> None:
    """Write a PNG file of few bytes that claims to be large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + check

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size + bytes((1, 0, 0, 0, 0)))
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def no_figure(file: Path, kind: str) -> None:
    picture = Image.new("RGB", (60, 40))
    if kind == "eps":
        picture.save(file, "EPS")
    elif kind == "jpeg":
        picture.save(file, "JPEG")
    elif kind == "text":
        text = PngInfo()
        text.add_text("bomb", "0" * 2_000_000, zip=True)
        picture.save(file, "PNG", pnginfo=text)
    else:
        width, _, height = kind.partition("x")
        bomb(file, int(width), int(height))


@pytest.mark.parametrize(
    "kind",
    ["eps", "jpeg", "text", "7000x7000", "10000x10000", "30000x30000", "1x40000", "40000x1"],
)
def test_figures_are_pictures_in_png(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_: pytest.fail("started"))
    no_figure(tmp_path / "figure9.png", kind)
    with pytest.raises(DataError, match=r"figure9\.png is no picture in PNG of a figure"):
        embed("figure", tmp_path / "figure9.png")


def test_a_page_names_figures_that_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "runs", "data=affectnet8", "model=maxvit")
    (run / "figures").mkdir()
    Image.new("RGB", (60, 40)).save(run / "figures/figure10.png")
    no_figure(run / "figures/figure9.png", "eps")
    page, _ = collected(tmp_path, capsys)
    assert "Figure 10" in page
    assert "Left out: " in page
    assert "figure9.png is no picture" in page
