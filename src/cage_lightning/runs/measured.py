"""What finished runs and `python -m cage_lightning.benchmark` tell of how fast a training is.

<runs>/.rates/<device>.json    what `benchmark` measured; no paths, no names of machines
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cage_lightning.errors import CageError
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.identity import ABSENT, read_config
from cage_lightning.runs.rates import Device, Measured, Rates, Workload
from cage_lightning.system.atomic import locked, write_atomic
from cage_lightning.system.paths import is_inside

RATES = ".rates"
"""The folder of the measurements, below that of the runs."""

OF_THE_CONTENT = (AttributeError, KeyError, TypeError, ValueError)
"""What content raises that is not as expected."""

SPLITS = ("train", "val", "test")
_VERSION = 1
_MOST = 50  # finished runs of one network that are read, the latest ones
# Of the settings of the data, those that do not change how many samples there are.
_NOT_COUNTED = {
    *("root", "store", "num_workers", "batch_size", "image_size", "margin", "class_weights"),
    *("seed", "on_error", "mixup", "cutmix"),
}


def read_measured(runs: Path, networks: Iterable[str]) -> tuple[list[Measured], list[str]]:
    """Read what is known of some networks below a folder of runs.

    Args:
        runs: The folder.
        networks: Their names in the names of run folders.

    Returns:
        What was measured, and a line for each file that tells nothing although it should.
    """
    found: list[Measured] = []
    ignored: list[str] = []
    for folder in _finished(runs, set(networks)):
        try:
            measured = of_run(RunFolder(folder))
        except (CageError, OSError, *OF_THE_CONTENT) as error:
            ignored.append(f"{folder} is left out: {_said(error)}")
        else:
            found += [] if measured is None else [measured]
    for file in sorted((runs / RATES).glob("*.json")):
        try:
            found += read_rates(file)
        except (OSError, *OF_THE_CONTENT) as error:
            ignored.append(
                f"{file} is left out: it holds no rates ({_said(error)}); delete it, and run "
                "benchmark again"
            )
    return found, ignored


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, CageError) else f"{type(error).__name__}: {text}"


def _finished(runs: Path, networks: set[str]) -> Iterator[Path]:
    """The folders of the latest finished runs of each network."""
    of_network: dict[str, list[Path]] = {name: [] for name in sorted(networks)}
    for file in runs.glob("*/*/metrics.json"):
        for name, folders in of_network.items():
            if f"-{name}-" in file.parent.name and is_inside(file.parent, file):
                folders.append(file.parent)
    for folders in of_network.values():
        latest = sorted(folders, key=lambda folder: -(folder / "metrics.json").stat().st_mtime)
        yield from sorted(latest[:_MOST])


def of_run(run: RunFolder) -> Measured | None:
    """Return how fast a finished run was; None if it does not tell.

    Runs of older versions tell their training with its validations as a whole.

    Raises:
        CageError: Its config cannot be read.
        KeyError, TypeError, ValueError: Its results are not those of a run.
    """
    meta, settings = run.read_metrics()["meta"], read_config(run.config_file)
    workload, device = Workload.of(settings), meta["device"]
    timing = meta.get("timing") or {}
    samples = {name: int(meta["data"][name]["samples"]) for name in meta["data"]}
    rates = _rates(timing) or _rates_of_the_whole(run, settings, meta, samples)
    if rates is None:
        return None
    threads = timing.get("threads") if device["type"] == "cpu" else None
    return Measured(
        workload=workload,
        device=Device(device["type"], device["name"], int(device.get("count", 1)), threads),
        rates=rates,
        counted=counted_by(settings),
        samples=samples,
        from_run=True,
    )


def _rates(timing: Mapping[str, Any]) -> Rates | None:
    """The rates of a run that has noted its phases."""
    train = _quotient(timing, "train")
    if train is None:
        return None
    figures = timing.get("figures_s")
    return Rates(
        train=train,
        evaluation=_quotient(timing, "test") or _quotient(timing, "validation") or train,
        start_s=_seconds(timing.get("start_s", 0.0)),
        results_s=_seconds(timing.get("results_s", 0.0)),
        figures_s=None if figures is None else _seconds(figures),
    )


def _quotient(timing: Mapping[str, Any], phase: str) -> float | None:
    samples, seconds = (timing.get(f"{phase}_{unit}", 0) for unit in ("samples", "s"))
    return samples / seconds if samples > 0 and seconds > 0 else None


def _rates_of_the_whole(
    run: RunFolder, settings: Mapping[str, Any], meta: Mapping[str, Any], samples: Mapping[str, int]
) -> Rates | None:
    """The rates of a run that has noted only how long its training took."""
    seconds = _seconds(meta.get("wall_time_s", 0.0))
    epochs = epochs_in_log(run) or int(settings["trainer"]["max_epochs"])
    trained = epochs * samples.get("train", 0)
    return Rates(train=trained / seconds) if seconds > 0 and trained > 0 else None


def epochs_in_log(run: RunFolder) -> int:
    """Return how many epochs train.log tells of; 0 if it tells of none."""
    if not is_inside(run.path, run.log_file):
        return 0
    text = run.log_file.read_text(encoding="utf-8", errors="replace")
    return max((int(number) for number in re.findall(r" epoch (\d{1,6})/\d+: ", text)), default=0)


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r} is no time in seconds")
    return float(value)


def counted_by(settings: Mapping[str, Any]) -> str:
    """Return a text that is the same for configs whose splits have as many samples.

    It is a digest: settings of the data may be paths.
    """
    absent = {key.removeprefix("data."): ABSENT[key] for key in ABSENT if key.startswith("data.")}
    data = {k: v for k, v in (absent | settings["data"]).items() if k not in _NOT_COUNTED}
    text = json.dumps([settings["choices"]["data"], data], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rates_file(runs: Path, device: Device) -> Path:
    """Where `benchmark` keeps what it measures on a device."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{device.type} {device.name}").strip("-")
    return runs / RATES / f"{name}.json"


def read_rates(file: Path) -> list[Measured]:
    """Read what `benchmark` has measured.

    Raises:
        OSError: The file cannot be read.
        AttributeError, KeyError, TypeError, ValueError: It holds something else.
    """
    content = json.loads(file.read_bytes())
    if content["version"] != _VERSION:
        raise ValueError(f"version {content['version']!r} is not {_VERSION}")
    return [_from_dict(entry) for entry in content["measured"]]


def _from_dict(entry: Mapping[str, Any]) -> Measured:
    workload, rates = dict(entry["workload"]), dict(entry["rates"])
    workload["augmentation"] = tuple(workload["augmentation"])
    for name, value in rates.items():
        rates[name] = value if value is None and name != "train" else _seconds(value)
    if not rates["train"] or rates.get("evaluation") == 0:
        raise ValueError("a rate is 0")
    return Measured(
        workload=Workload(**workload),
        device=Device(**entry["device"]),
        rates=Rates(**rates),
        counted=str(entry["counted"]),
        samples={name: int(entry["samples"][name]) for name in SPLITS},
        from_run=False,
    )


def keep_rates(file: Path, measured: Measured, more: Mapping[str, Any]) -> None:
    """Add a measurement to a file; it takes the place of an earlier one of the same kind.

    Args:
        file: See `rates_file`.
        measured: What was measured.
        more: What else the entry tells, for people.

    Raises:
        ConfigError, OutputError: The file cannot be written.
    """
    entry = {key: value for key, value in asdict(measured).items() if key != "from_run"}
    entry |= more
    file.parent.mkdir(parents=True, exist_ok=True)
    with locked(file.with_suffix(".lock")):
        kept = [one for one in _entries(file) if not _same(one, entry)]
        content = {"version": _VERSION, "measured": [*kept, entry]}
        write_atomic(file, json.dumps(content, indent=1, default=list) + "\n")


def _entries(file: Path) -> list[Mapping[str, Any]]:
    """The entries of a file; none if it is not there or holds something else."""
    try:
        read_rates(file)
        entries: list[Mapping[str, Any]] = json.loads(file.read_bytes())["measured"]
    except (OSError, *OF_THE_CONTENT):
        return []
    return entries


def _same(entry: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    keys = ("workload", "device", "counted")
    plain = json.loads(json.dumps({key: other[key] for key in keys}, default=list))
    return bool({key: entry[key] for key in keys} == plain)
