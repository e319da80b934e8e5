"""The real `score`, `evaluate` and `collect` commands on a trained run."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cage_lightning.predictions.files import read_predictions
from tests.conftest import Command
from tests.present import present

RUN = "runs/default/demo8-tiny-{}-s{}"
PUBLISHED = "cat_true,cat_pred,val_true,val_pred,aro_true,aro_pred\n"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of that run, where the commands work."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    return tmp_path / RUN.format("combined", 0)


@pytest.mark.usefixtures("only_png")
def test_a_run_scored_again(command: Command, run: Path) -> None:
    before = json.loads((run / "metrics.json").read_text())
    done = command("score", f"predictions={run}/predictions.parquet", "figures=figures")
    after = json.loads((run / "metrics.json").read_text())
    files = after["meta"]["scores"].pop("files")
    assert list(files) == [f"{run}/predictions.parquet"]
    assert after == before  # the scores are the same, and where they come from stays
    assert "best baseline" in done.stdout
    assert before["meta"]["scores"]["baselines_know"] == "the model's training split"
    assert before["intervals"]["test/ccc_valence"][0] <= before["test/ccc_valence"]
    assert "contempt_dropped/accuracy" in before
    assert before["baseline_chance/accuracy"] == 1 / 8
    assert (run.parents[2] / "figures/figure9.png").is_file()


def test_the_published_layout(command: Command, tmp_path: Path) -> None:
    (tmp_path / "inference.csv").write_text(
        PUBLISHED + "0,0,0.5,0.25,-0.5,0.5\n7,1,-0.5,0,0.125,0\n1,1,0.9,0.8,0.1,0.2\n"
    )
    command("score", "predictions=inference.csv")
    scores = json.loads((tmp_path / "metrics.json").read_text())
    assert scores["test/accuracy"] == pytest.approx(2 / 3)
    assert scores["test/mae_valence"] == pytest.approx((0.25 + 0.5 + 0.1) / 3)
    assert "armand-07" in scores["meta"]["scores"]["baselines_know"]
    # Nobody knows what the model would have predicted instead of Contempt.
    assert not any(key.startswith("contempt_dropped/") for key in scores)
    (tmp_path / "metrics.json").write_text("mine")
    done = command("score", "predictions=inference.csv", check=False)
    assert "metrics.json holds no scores" in done.stderr
    assert (tmp_path / "metrics.json").read_text() == "mine"


def test_two_files_and_several(command: Command, run: Path) -> None:
    a, work = run / "predictions.parquet", run.parents[2]
    command("score", f"predictions=[{a},{a}]", "output=same.json")
    same = json.loads((work / "same.json").read_text())
    assert same["mcnemar"] == 1
    assert set(same["differences"]["test/accuracy"]) >= {"difference", "low", "high", "p"}
    assert all(d["difference"] == 0 and d["p"] == 1 for d in same["differences"].values())
    command("score", f"predictions=[{a},{a},{a}]", "over_seeds=true")
    seeds = json.loads((run / "seeds.json").read_text())["seeds"]
    assert seeds["test/ccc_valence"]["n"] == 3
    assert seeds["test/ccc_valence"]["sd"] == pytest.approx(0, abs=1e-12)
    done = command("score", f"predictions=[{a},{a},{a}]", check=False)
    assert "over_seeds=true" in done.stderr


def test_scores_by_subgroup(command: Command, tmp_path: Path) -> None:
    rows = [f"{i % 7},{i % 7 if i % 3 else 0},{i / 60},0.5,0,0.1" for i in range(60)]
    (tmp_path / "inference.csv").write_text(PUBLISHED + "\n".join(rows))
    groups = [f"{i},{'f' if i % 2 else 'm'},{'Kid' if i < 3 else 'Adult'}" for i in range(59)]
    (tmp_path / "groups.csv").write_text("id,gender,age\n" + "\n".join(groups))
    asked = ("predictions=inference.csv", "resamples=20", "groups_file=groups.csv")
    done = command("score", *asked, "subgroups=[gender,age]")
    assert "1 of 60 samples are not in it" in done.stderr
    assert "fewer than 20 samples: Kid (3); not known of 1 samples" in done.stdout
    content = json.loads((tmp_path / "metrics.json").read_text())
    found = content["subgroups"]["gender"]
    assert {value: one["n"] for value, one in found["values"].items()} == {"f": 29, "m": 30}
    assert list(content["meta"]["scores"]["groups_file"]) == ["groups.csv"]
    with (tmp_path / "subgroups.csv").open() as file:
        table = {(r["group"], r["metric"], r["value"]): r for r in csv.DictReader(file)}
    low, high = found["values"]["f"]["intervals"]["accuracy"]
    own, gap = table["gender", "accuracy", "f"], table["gender", "accuracy", ""]
    assert (float(own["low"]), float(own["high"]), own["n"]) == (low, high, "29")
    assert float(gap["score"]) == found["gaps"]["accuracy"]["gap"]
    assert (gap["best"], gap["n"]) == (found["gaps"]["accuracy"]["best"], "")
    assert ("age", "accuracy", "") not in table  # a single value is scored

    plain = command("score", *asked).stdout
    assert "gender" not in plain
    assert not (tmp_path / "subgroups.csv").exists()
    (tmp_path / "subgroups.csv").write_text("mine")
    command("score", *asked)
    assert (tmp_path / "subgroups.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("subgroups=gender",), "subgroups=gender: a list is needed, subgroups=[gender,...]"),
        (("subgroups=[gender]",), "nothing says the gender of a sample"),
        (("subgroups=[a,a]",), "names a group twice"),
        (("groups_file=absent.csv",), "there is no file absent.csv"),
        (("subgroups=[a]", "over_seeds=true"), "subgroups=... scores one prediction file"),
    ],
)
def test_subgroups_that_are_none(
    settings: tuple[str, ...], message: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "inference.csv").write_text(PUBLISHED + "0,0,0.5,0.25,-0.5,0.5\n")
    done = command("score", "predictions=inference.csv", *settings, check=False)
    assert message in done.stderr
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("only_png")
def test_evaluation_across_label_spaces(command: Command, run: Path) -> None:
    work, cpu = run.parents[2], ("trainer=cpu", "data.size=tiny", "data.num_workers=0")
    command("evaluate", f"checkpoint={run}", "data=demo8", *cpu, "figures=true")
    assert (run / "evaluations/demo8/figures/worst_samples.png").is_file()
    again = json.loads((run / "evaluations/demo8/metrics.json").read_text())
    first = json.loads((run / "metrics.json").read_text())
    same = {k: v for k, v in first.items() if k != "meta"}
    assert {k: v for k, v in again.items() if k != "meta"} == same

    # Another data set where the results of one are: the earlier ones stay.
    there = f"output={run}/evaluations/demo8"
    done = command("evaluate", f"checkpoint={run}", "data=demo7", *cpu, there, check=False)
    assert "has results of other annotations (demo8)" in done.stderr
    assert "set output=DIR" in done.stderr
    assert json.loads((run / "evaluations/demo8/metrics.json").read_text()) == again

    stale = run / "evaluations/demo7/figures/figure9.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    command("evaluate", f"checkpoint={run}", "data=demo7", *cpu)
    assert not stale.parent.exists()
    seven = json.loads((run / "evaluations/demo7/metrics.json").read_text())
    assert seven["meta"]["data_set"]["name"] == "demo7"
    assert seven["meta"]["data_set"]["root"].endswith("demo_faces/tiny")
    assert seven["test/n"] == 56
    assert seven["test/accuracy"] == first["contempt_dropped/accuracy"]
    assert seven["test/f1_macro"] == pytest.approx(first["contempt_dropped/f1_macro"], abs=1e-12)

    mapped, wrong = "mapping={Neutral: Peace}", "mapping={Neutral: Piece}"
    done = command("evaluate", f"checkpoint={run}", "data=demo_emotic", *cpu, wrong, check=False)
    assert "mapping: 'Piece' is no category of the data (emotic); it has Affection" in done.stderr
    command(
        "evaluate", f"checkpoint={run}", "data=demo_emotic", *cpu, "output=out", "clip=true", mapped
    )
    scores = json.loads((work / "out/metrics.json").read_text())
    assert scores["meta"]["trained_on"] == "affectnet8"  # the label space
    assert scores["meta"]["trained_with"]["data"] == "demo8"
    assert scores["meta"]["label_space"]["name"] == "affectnet8 on emotic"
    assert scores["meta"]["clip"] is True
    assert "test/ccc_arousal" in scores
    assert "test/ccc_dominance" not in scores
    assert 0 <= scores["test/map"] <= 1
    predictions = read_predictions(work / "out/predictions.parquet")
    assert predictions.space.name == "affectnet8 on emotic"
    assert len(predictions.space.categories) == 6
    found = scores["meta"]["mapping"]
    assert [found[name] for name in ("Neutral", "Fear", "Disgust")] == ["Peace", "Fear", None]


def test_flipping_averages_both_sides(command: Command, run: Path) -> None:
    cpu = ("data=demo8", "trainer=cpu", "data.size=tiny", "data.num_workers=0")
    command("evaluate", f"checkpoint={run}", *cpu, "output=flipped", "flip=true")
    flipped = read_predictions(run.parents[2] / "flipped/predictions.parquet")
    plain = read_predictions(run / "predictions.parquet")
    distance = abs(present(flipped.affect_pred) - present(plain.affect_pred)).max()
    assert 0 < distance < 1
    assert flipped.id.tolist() == plain.id.tolist()


@pytest.mark.slow
def test_a_table_from_runs(command: Command, run: Path) -> None:
    work = run.parents[2]
    # A second seed, as if it had been trained.
    other = work / RUN.format("combined", 1)
    shutil.copytree(run, other)
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(config.replace("\nseed: 0\n", "\nseed: 1\n"))
    metrics = json.loads((other / "metrics.json").read_text())
    metrics["test/ccc_pooled"] += 0.1
    (other / "metrics.json").write_text(json.dumps(metrics))
    command("collect", "table=table6", "runs=runs", "output=table6")
    with (work / "table6/results.csv").open() as file:
        rows = {(r["predictor"], r["metric"]): r for r in csv.DictReader(file)}
    ccc = rows["model", "ccc_pooled"]
    assert ccc["seeds"] == "2"
    assert float(ccc["mean"]) == pytest.approx(metrics["test/ccc_pooled"] - 0.05)
    assert float(ccc["sd"]) == pytest.approx(0.1 / 2**0.5)
    assert float(ccc["sample_low"]) < float(ccc["sample_high"])
    assert ("lookup", "ccc_pooled") in rows
    text = (work / "table6/results.md").read_text()
    assert "| demo8 | tiny | combined | 2 |" in text
    assert "val/loss" in (work / "table6/page.html").read_text()
    cpu = ("trainer=cpu", "data.size=tiny", "data.num_workers=0")
    command("evaluate", f"checkpoint={run}", "data=demo_emotic", *cpu, "subgroups=[gender]")
    evaluated = json.loads((run / "evaluations/demo_emotic/metrics.json").read_text())
    genders = evaluated["subgroups"]["gender"]
    assert (genders["values"].keys(), genders["few"].keys()) == ({"Male"}, {"Female"})
    assert (run / "evaluations/demo_emotic/subgroups.csv").is_file()
    command("collect", "table=figure11", "runs=runs", "output=figure11")
    assert (work / "figure11/figure11.png").is_file()
    with (work / "figure11/results.csv").open() as file:
        found = {(row["predictions"], row["key"]) for row in csv.DictReader(file)}
    assert ("demo8-tiny-combined-s0 on demo_emotic", "test/ccc_valence") in found
    assert ("demo8-tiny-combined-s0", "baseline_constant/rmse_arousal") in found
    assert not any("s1" in name for name, _ in found)  # it was evaluated nowhere else
    done = command("collect", "table=table6", "runs=table6", "output=x", check=False)
    assert "no finished run" in done.stderr


def test_a_missing_setting_is_named(command: Command) -> None:
    done = command("score", check=False)
    assert "error: predictions=... is needed" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "data.num_workers=0"),
        ("trainer=cpu", "data.batch_size=7", "data.num_workers=2"),
    ],
    ids=["two processes with uneven shares", "other batches, with workers"],
)
def test_results_do_not_depend_on_how_they_were_computed(
    command: Command, run: Path, how: tuple[str, ...]
) -> None:
    command(
        "evaluate",
        f"checkpoint={run}",
        "data=demo8",
        "data.size=tiny",
        *how,
        "output=out",
        process="forked",
    )
    folders = (run, run.parents[2] / "out")
    one, other = (read_predictions(folder / "predictions.parquet") for folder in folders)
    assert one.id.tolist() == other.id.tolist()
    np.testing.assert_allclose(present(one.probability), present(other.probability), atol=1e-6)
    first, second = (json.loads((folder / "metrics.json").read_text()) for folder in folders)
    assert first["test/n"] == second["test/n"] == 63  # no sample twice
    for key, value in first.items():
        if key.startswith("test/"):
            assert second[key] == pytest.approx(value, abs=1e-5), key
