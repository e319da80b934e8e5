"""Printing never fails or formats: no markup counts, and a closed pipe or full disk is ignored."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cage_lightning.commands.score import score
from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_8
from cage_lightning.predictions.files import write_predictions
from cage_lightning.report.summary import print_results
from cage_lightning.scores.results import results_of
from cage_lightning.system.output import console, say
from tests.conftest import composed
from tests.prediction_samples import random_predictions

# Prints more than a pipe and the buffers hold, then leaves a file as a run leaves its results.
PRINTS = """
import sys
from pathlib import Path
from cage_lightning.system.output import is_lost, keep_printing
keep_printing()
for _ in range(20_000):
    print("results")
print("\\udcff", file=sys.stderr)
Path(sys.argv[1]).write_text(str(is_lost()))
"""


@pytest.mark.parametrize(
    ("shell", "lost"),
    [
        ("{} | true", "False"),  # as with `| head -1`, where nobody reads the rest
        ("{} >/dev/full 2>&1", "True"),
        ("{} >&- 2>&-", "False"),
        ("{} >/dev/null", "False"),
    ],
)
def test_no_print_fails(tmp_path: Path, shell: str, lost: str) -> None:
    script = tmp_path / "prints.py"
    script.write_text(PRINTS)
    command = shell.format(f"{sys.executable} {script} {tmp_path / 'done'}")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, (tmp_path / "done").read_text()) == (0, lost), done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_printed_is_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    title = "runs/a[/b]c/[bold]:smile:"
    say(title)
    print_results(results_of(random_predictions(AFFECTNET_8, 60), resamples=10), title)
    console().print(title)
    assert capsys.readouterr().out.count(title) == 3


@pytest.mark.parametrize("key", ["predictions", "output"])
def test_addresses_are_refused(tmp_path: Path, key: str) -> None:
    write_predictions(tmp_path / "p.parquet", random_predictions(AFFECTNET_8, 20))
    settings = {"predictions": str(tmp_path / "p.parquet"), "resamples": "10"}
    settings[key] = "'s3://bucket/file.parquet'"
    with pytest.raises(ConfigError, match=f"{key}=s3://bucket/file.parquet: only folders"):
        score(composed(*(f"{k}={v}" for k, v in settings.items()), config_name="score"))
