"""Tables of the paper from run folders."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from cage_lightning.errors import ConfigError, DataError
from cage_lightning.report.missing import missing_rows, missing_seeds
from cage_lightning.report.paper_tables import PAPER_TABLES, TABLES
from cage_lightning.report.resampling import Drawn, Resampled
from cage_lightning.report.run_tables import Score, fill
from cage_lightning.report.runs import Run, read_runs
from cage_lightning.scores import summarise

DEMO = {"data": "demo8", "model": "tiny", "loss": "combined"}


def a_run(loss: str, seed: int, **scores: float) -> Run:
    choices = {"data": "affectnet8", "model": "maxvit", "loss": loss}
    metrics = {key.replace("__", "/"): value for key, value in scores.items()}
    intervals = {"test/ccc_pooled": [0.5 + seed / 10, 0.8]}
    config = {"choices": choices, "tag": None, "seed": seed, "group": "g"}
    folder = Path(f"runs/g/affectnet8-maxvit-{loss}-s{seed}")
    return Run(folder, config, metrics | {"intervals": intervals})


def test_the_published_numbers_agree_with_each_other() -> None:
    for name in ("table6", "table7"):
        for row, printed in PAPER_TABLES[name].published.items():
            assert set(printed) <= set(PAPER_TABLES[name].metrics)
            if "mse_pooled" in printed:
                expected = pytest.approx(printed["mse_pooled"], abs=2e-4)
                assert printed["rmse_pooled"] ** 2 == expected, row
    assert len(PAPER_TABLES["table6"].published) == 12
    (printed,) = PAPER_TABLES["table8"].published.values()
    for dimension in ("valence", "arousal", "dominance"):
        native = printed[f"rmse_{dimension}_native"]
        assert printed[f"rmse_{dimension}"] == pytest.approx(native * 2 / 9, abs=6e-4)


def test_seeds_share_a_row_and_the_paper_stands_beside() -> None:
    runs = [
        a_run("combined", 1, test__ccc_pooled=0.7, baseline_lookup__ccc_pooled=0.6),
        a_run("va", 0, test__ccc_pooled=0.75),
        a_run("combined", 0, test__ccc_pooled=0.6, baseline_lookup__ccc_pooled=0.6),
    ]
    combined, lookup, va = fill(PAPER_TABLES["table6"], runs).records()
    assert combined["mean"] == pytest.approx(0.65)
    assert combined["sd"] == pytest.approx(0.1 / 2**0.5)
    # Student's t with one degree of freedom: 12.706 sd / sqrt(2).
    assert combined["seeds_high"] - combined["mean"] == pytest.approx(12.706 * 0.05, abs=1e-4)
    assert (combined["sample_low"], combined["sample_high"]) == pytest.approx((0.55, 0.8))
    assert combined["published"] == 0.6592
    assert combined["difference"] == pytest.approx(0.65 - 0.6592)
    assert (lookup["predictor"], lookup["published"], lookup["sample_low"]) == (
        "lookup",
        None,
        None,
    )
    assert (va["seeds"], va["sd"], va["published"]) == (1, None, 0.784)
    text = fill(PAPER_TABLES["table6"], runs).markdown()
    head, _, first, second, third = text.splitlines()
    assert head == "| data | model | loss | seeds | CCC |"
    assert first == (
        "| affectnet8 | maxvit | combined | 2 | "
        "0.650 ± 0.071<br>paper 0.6592 (-0.009) |"  # nothing is known of other samples
    )
    assert second == "|  |  | *lookup* | 2 | 0.600 |"
    assert third.startswith("| affectnet8 | maxvit | va | 1 | 0.750<br>[")


def test_the_table_in_latex() -> None:
    runs = [a_run("combined", seed, test__ccc_pooled=0.6 + seed / 10) for seed in (0, 1)]
    lines = fill(PAPER_TABLES["table6"], runs).latex().splitlines()
    assert lines[0] == r"\begin{tabular}{lllr}"
    assert lines[2] == r"data & model & loss & CCC \\"
    assert lines[4] == r"affectnet8 & maxvit & combined & 0.650 $\pm$ 0.071 \\"
    assert lines[-1] == r"\end{tabular}"


def test_missing_rows_are_named_with_their_command() -> None:
    table = PAPER_TABLES["table6"]
    runs = [a_run("combined", seed, test__ccc_pooled=0.6) for seed in (1, 0)]
    commands = missing_rows(table, runs)
    assert len(commands) == 11
    assert (
        "python -m cage_lightning.train -m data=affectnet8 model=maxvit loss=va start=combined "
        "seed=0,1 group=g"
    ) in commands
    assert not any("model=maxvit loss=combined" in c and "affectnet8" in c for c in commands)
    drawn = replace(runs[0], config={**runs[0].config, "choices": DEMO})
    assert missing_rows(table, [drawn]) == []


def test_a_missing_row_starts_as_its_table_does() -> None:
    table = replace(PAPER_TABLES["table6"], start="affectnet8")
    (command, *_) = missing_rows(table, [a_run("combined", 0, test__ccc_pooled=0.6)])
    assert " start=affectnet8 " in command
    assert PAPER_TABLES["table8"].start == "affectnet8"


def test_missing_seeds_are_named() -> None:
    runs = [a_run("combined", 1), a_run("combined", 12), a_run("va", 12)]
    assert missing_seeds(runs) == ["runs/g/affectnet8-maxvit-va-s1"]
    tagged = a_run("va", 1)
    tagged = replace(tagged, config={**tagged.config, "tag": "no-s1-here"})
    tagged = replace(tagged, folder=Path("runs/g/affectnet8-maxvit-va-s1-no-s1-here"))
    assert missing_seeds([*runs, tagged]) == [
        "runs/g/affectnet8-maxvit-va-s1",
        "runs/g/affectnet8-maxvit-va-s12-no-s1-here",
    ]
    assert missing_seeds(runs[:2]) == []
    # A folder that somebody renamed holds its seed all the same.
    renamed = replace(a_run("va", 1), folder=Path("runs/g/mine"))
    assert missing_seeds([*runs, renamed]) == []


def test_what_counts_as_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no finished run"):
        read_runs(tmp_path, {})
    for name in ("a/one", "a/one/evaluations/emotic", "b/unfinished"):
        (tmp_path / name).mkdir(parents=True)
    config = yaml.safe_dump({"choices": {"data": "d", "model": "m", "loss": "l"}, "seed": 3})
    (tmp_path / "a/one/config.yaml").write_text(config)
    (tmp_path / "b/unfinished/config.yaml").write_text(config)
    for name in ("a/one", "a/one/evaluations/emotic"):
        (tmp_path / name / "metrics.json").write_text(json.dumps({"test/n": 1}))
    (run,) = read_runs(tmp_path, {})
    assert run.folder == tmp_path / "a/one"
    assert run.seed == 3
    own, other = run.evaluations
    assert (own.source.label, other.source.label) == ("one", "one on emotic")
    assert own.metrics is run.metrics
    assert other.metrics == {"test/n": 1}
    (tmp_path / "a/one/evaluations/emotic/metrics.json").write_text("{")
    with pytest.raises(DataError, match="evaluations/emotic"):
        _ = other.metrics
    (tmp_path / "a/one/metrics.json").write_text("{")
    with pytest.raises(ConfigError, match=r"no finished run.*a/one"):
        read_runs(tmp_path, {})


@pytest.mark.parametrize("name", PAPER_TABLES)
def test_expected_csv_is_what_the_paper_prints(name: str) -> None:
    file = Path(__file__).parents[3] / "experiments" / name / "expected.csv"
    with file.open() as lines:
        rows = [(*row[:4], float(row[4])) for row in list(csv.reader(lines))[1:]]
    published = PAPER_TABLES[name].published.items()
    assert rows == [
        (*row, key, value) for row, printed in published for key, value in printed.items()
    ]


def a_setting(seed: int, tag: str | None, augment: str = "paper", **settings: object) -> Run:
    run = a_run("va", seed, test__ccc_valence=0.5, test__accuracy=0.5)
    config = {"choices": {**run.config["choices"], "augment": augment}, "tag": tag} | {
        "data": {"seed": seed},
        "augment": {"steps": [augment]},
        "init_from": f"runs/g/affectnet8-maxvit-combined-s{seed}",
        "runs": f"somewhere/{seed}",
    }
    return replace(
        run,
        folder=Path(f"runs/g/affectnet8-maxvit-va-s{seed}-{tag}"),
        config={**run.config, **config, **settings},
    )


def rows_of(*runs: Run) -> list[dict[str, object]]:
    table = fill(TABLES["runs"], runs)
    names = table.markdown().partition("\n")[0].strip("| ").split(" | ")
    settings = table.lines[0].settings
    assert names[3:-3] == list(settings)
    records = [record for record in table.records() if record["metric"] == "accuracy"]
    return [{key: row[key] for key in (*settings, "seeds")} for row in records]


def test_any_runs_have_a_row_for_what_differs() -> None:
    rates = [
        a_setting(seed, f"lr{lr}", optimizer={"lr": lr, "weight_decay": 0.1})
        for lr in (1e-3, 3e-3)
        for seed in (0, 1)
    ]
    assert rows_of(*rates) == [
        {"optimizer.lr": 0.001, "seeds": 2},
        {"optimizer.lr": 0.003, "seeds": 2},
    ]
    assert rows_of(*rates[:2]) == [{"seeds": 2}]
    # A choice stands for the settings that it makes.
    augments = [a_setting(0, name, augment=name) for name in ("none", "paper")]
    assert rows_of(*augments) == [
        {"augment": "none", "seeds": 1},
        {"augment": "paper", "seeds": 1},
    ]
    # A tag is shown where nothing else tells the runs apart.
    again = a_setting(0, "again", optimizer={"lr": 1e-3, "weight_decay": 0.1})
    assert [row.get("tag") for row in rows_of(again, *rates)] == ["again", "lr0.001", "lr0.003"]
    table = fill(TABLES["runs"], [augments[0]])
    assert "| affectnet8 | maxvit none | va | 1 |" in table.markdown()


def test_a_setting_is_no_markup() -> None:
    runs = [a_setting(0, name, note=name) for name in ("a|b", "c_d", "50 % of {x} & y", "e\nf")]
    table = fill(TABLES["runs"], runs)
    for shown in (r"| a\|b |", "| c_d |", "| e f |"):
        assert shown in table.markdown()
    for shown in (r"& c\_d &", r"& 50 \% of \{x\} \& y &"):
        assert shown in table.latex()


def test_a_score_in_each_form() -> None:
    score = Score(summarise([0.6, 0.7]), (0.55, 0.8), (0.5, 0.8), published=0.6592)
    assert score.lines == ["0.650 ± 0.071", "[0.500, 0.800]", "paper 0.6592 (-0.009)"]
    assert score.latex == r"0.650 $\pm$ 0.071"
    assert score.record["difference"] == pytest.approx(0.65 - 0.6592)
    # What a baseline scores over several seeds is in the CSV file, and its spread only there.
    baseline = Score(summarise([0.6, 0.7]), baseline=True)
    assert (baseline.lines, baseline.latex) == (["0.650"], "0.650")
    assert baseline.record["sd"] == pytest.approx(0.1 / 2**0.5)
    assert Score(summarise([0.6])).lines == ["0.600"]
    assert Score(summarise([0.6]), (0.55, 0.8)).lines == ["0.600", "[0.550, 0.800]"]


def test_one_interval_holds_both_kinds_of_variation() -> None:
    runs = [a_run("combined", seed, test__ccc_pooled=0.6 + seed / 10) for seed in (0, 1, 2)]
    common, own = (np.random.default_rng(0).normal(size=(n, 5000)) for n in (1, 3))
    scores = np.array([run.metrics["test/ccc_pooled"] for run in runs])
    resampled = scores[:, None] + 0.05 * common + 0.03 * own
    drawn = {
        run.folder: Drawn(0, 4000, {"ccc_pooled": values})
        for run, values in zip(runs, resampled, strict=True)
    }
    filled = fill(PAPER_TABLES["table6"], runs, Resampled(drawn=drawn))
    (record,) = filled.records()
    # The scatter of the scores is 0.1: of their mean 0.1 / sqrt(3), and what samples add besides.
    error = (0.1**2 / 3 + 0.05**2) ** 0.5
    degrees = error**2 / (0.1**2 / 3 / 2 + 0.05**2 / 3999)
    half = stats.t.ppf(0.975, degrees) * error
    assert (record["low"], record["high"]) == pytest.approx((0.7 - half, 0.7 + half), abs=0.01)
    assert record["interval_over"] == "seeds and test samples"
    assert f"[{record['low']:.3f}, {record['high']:.3f}]" in filled.markdown()
    assert filled.without_interval == []
    (single,) = fill(PAPER_TABLES["table6"], runs[1:2]).records()
    assert (single["low"], single["high"]) == (single["sample_low"], single["sample_high"])
    assert single["interval_over"] == "test samples"
    # Without the predictions of a run nothing is known of other samples, and that is said.
    del drawn[runs[2].folder]
    unread = {runs[2].folder: "its file is not there"}
    (reason,) = fill(PAPER_TABLES["table6"], runs, Resampled(unread, drawn)).without_interval
    assert reason == "affectnet8, maxvit, combined has no interval: its file is not there."


def test_an_interval_ends_where_the_scale_does() -> None:
    runs = [a_run("combined", seed, test__ccc_pooled=0.9 + seed / 20) for seed in (0, 1)]
    noise = np.random.default_rng(0).normal(scale=0.01, size=(2, 1000))
    drawn = {
        run.folder: Drawn(0, 4000, {"ccc_pooled": run.metrics["test/ccc_pooled"] + values})
        for run, values in zip(runs, noise, strict=True)
    }
    (record,) = fill(PAPER_TABLES["table6"], runs, Resampled(drawn=drawn)).records()
    assert (record["low"], record["high"]) == (pytest.approx(0.607, abs=0.01), 1.0)
