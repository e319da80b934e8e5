"""What the checkpoints of an export say of their training: data for the record, never a path."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cage_lightning.data.module import ExpressionData
from cage_lightning.deploy.checkpoints import describe
from cage_lightning.deploy.folder import checksum, is_export, read_export
from cage_lightning.deploy.loading import checkpoint_of
from cage_lightning.errors import ConfigError
from cage_lightning.runs.provenance import git_revision

_NAME = re.compile(r"[\w.-]{1,100}", re.ASCII)
_SPLITTING: Mapping[str, type] = {"selection": str, "holdout_fraction": float, "seed": int}
_CHOICES = ("data", "model", "loss", "protocol", "augment")


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
        choices: The names of what it was trained with; of an export, what that says of itself.
        splittings: For each member, the settings that decide which samples chose its epoch.
        checkpoints: For each member, the SHA-256 of its checkpoint.
    """

    choices: Mapping[str, str]
    splittings: Sequence[Mapping[str, Any]]
    checkpoints: Sequence[str]

    @property
    def data(self) -> str | None:
        """The name of the data set that it was trained on."""
        return self.choices.get("data")

    @property
    def splitting(self) -> Mapping[str, Any]:
        """Those of the first member."""
        return self.splittings[0]

    def check_calibration(self, own: bool) -> None:
        """Refuse to fit a calibration on samples that are not known to be unseen in training.

        Args:
            own: Whether the data is what the model was trained on.

        Raises:
            ConfigError: Says why, and what to do instead.
        """
        refused = "calibrate=true fits on the split that chose the epoch of the run"
        if not all(self.splittings):
            raise ConfigError(f"{refused}, which only its checkpoint tells: give the run")
        if not own:
            raise ConfigError(f"{refused}: choose data={self.data}, which it was trained on")
        if self.splitting["selection"] == "test":
            raise ConfigError(
                f"{refused}, and that was the test split (data.selection=test), which the scores "
                "are of: leave calibrate out"
            )
        held_out = self.splitting["selection"] in ("holdout", "own")
        if held_out and any(one != self.splitting for one in self.splittings):
            raise ConfigError(
                f"{refused}, and these runs held out different samples, which the others were "
                "trained on: leave calibrate out, or export one run"
            )

    def made_by(self, data: str, tested: ExpressionData) -> dict[str, Any]:
        """What config.json says of it.

        Args:
            data: The name of the data set that the export was tested on.
            tested: That data.
        """
        return {
            "trained_with": dict(self.choices),
            "seeds": [one["seed"] for one in self.splittings if one],
            "checkpoints": list(self.checkpoints),
            "tested_on": {"data": data, "fingerprint": tested.test.fingerprint()},
            "git_revision": git_revision(),
        }


def origin_of(places: Sequence[Path]) -> Origin:
    """What the checkpoints at these places say of their training.

    Raises:
        CheckpointError: One of them is not what it seems.
    """
    found = [_of_one(place) for place in places]
    choices, _, _ = found[0]
    return Origin(
        choices, [one[1] for one in found], [digest for one in found for digest in one[2]]
    )


def _of_one(place: Path) -> tuple[dict[str, str], dict[str, Any], list[str]]:
    if is_export(place):
        made_by = read_export(place if place.is_dir() else place.parent).made_by
        digests = made_by.get("checkpoints")
        known = [x for x in digests if _is_name(x)] if isinstance(digests, list) else []
        return _names(made_by.get("trained_with")), {}, known
    file = checkpoint_of(place)
    config = describe(file).config
    node = config.get("data")
    settings = node if isinstance(node, dict) else {}
    splitting = {
        name: settings[name]
        for name, kind in _SPLITTING.items()
        if type(settings.get(name)) is kind
    }
    complete = {"selection", "seed"} <= splitting.keys()
    return _names(config.get("choices")), splitting if complete else {}, [checksum(file)]


def _names(choices: Any) -> dict[str, str]:
    """The choices that are plain names: the rest of what a file may say here is left out."""
    if not isinstance(choices, dict):
        return {}
    return {key: choices[key] for key in _CHOICES if _is_name(choices.get(key))}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
