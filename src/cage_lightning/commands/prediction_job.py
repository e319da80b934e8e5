"""What `predict` is asked to do: items, model, detector, and a description to tell jobs apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from omegaconf import DictConfig, ListConfig

from cage_lightning.deploy.folder import CONFIG, is_export
from cage_lightning.deploy.loading import checkpoint_of
from cage_lightning.deploy.model import ExpressionModel
from cage_lightning.errors import ConfigError, check_choice
from cage_lightning.faces.boxes import read_boxes
from cage_lightning.faces.detectors import DetectorName, make_detector
from cage_lightning.faces.face import Detector
from cage_lightning.faces.pipeline import FRAMES, Find, Looked, Position, finding, look
from cage_lightning.faces.rows import Follower, dimensions_of, make_schema
from cage_lightning.faces.sources import Item
from cage_lightning.faces.tracking import SMOOTHING_CONSTANTS, Smoothing
from cage_lightning.labels import EMOTIC
from cage_lightning.system.paths import local_path

# What changes the rows; of the model, the source and the boxes it is their content.
_SETTINGS = (
    "threshold", "smallest_face", "longest_side", "align", "every", "smoothing",
)  # fmt: skip
_BATCH_SIZE = 64
_BATCH_SIZES = {"cpu": 8}  # more take longer for each: their intermediate results leave its caches
_LIVE_FRAMES = 8  # of a camera that are looked at together: fewer, so that none waits for long


class Job:
    """What is looked at, and with what.

    Args:
        config: The settings.
        items: What is looked at.
        model: The model.
        places: The files and folders that it was read from.

    Raises:
        CageError: A setting is wrong, or a package missing.
    """

    def __init__(
        self,
        config: DictConfig,
        items: Sequence[Item],
        model: ExpressionModel,
        places: Sequence[Path],
    ) -> None:
        self.config, self.items, self.model, self.places = config, items, model, places
        self.batch_size = config.batch_size or _BATCH_SIZES.get(model.device.type, _BATCH_SIZE)
        nothing = model.predict([])  # tells the columns
        if config.boxes is not None and config.faces is not None:
            raise ConfigError("faces=... finds boxes and boxes=... gives them: leave one out")
        self.detector = detector_name(config.faces, model)
        self.schema = make_schema(nothing, config.smoothing)
        self.follower = Follower(config.smoothing, dimensions_of(nothing))
        self.find = self._find()
        self.about = self._about()

    def look(self, start: Position) -> Iterator[Looked]:
        """See `pipeline.look`."""
        return look(
            self.items,
            self.find,
            self.model.predict_crops,
            self.model.preprocessing.crop,
            start=start,
            every=self.config.every,
            align=self.config.align,
            batch_size=self.batch_size,
            frames=_LIVE_FRAMES if self.is_live else FRAMES,
        )

    @property
    def is_live(self) -> bool:
        """Whether it is a camera or a stream that is looked at, which cannot be looked at again."""
        return self.items[0].is_live

    def _find(self) -> Find:
        config = self.config
        if config.boxes is not None:
            return read_boxes(local_path("boxes", config.boxes), self.items).find
        return finding(detector_of(config, self.model))

    def _about(self) -> dict[str, Any]:
        """What tells this job from another one, and what readers of the rows want to know."""
        boxes, weights = self.config.boxes, self.config.detector_weights
        smoothing = cast(Smoothing, self.config.smoothing)
        return {
            "label_space": self.model.label_space.to_dict(),
            "model": [_fingerprint(place) for place in self.places],
            "source": _digest_of(self.items),
            "faces": self.detector if boxes is None else "boxes",
            "boxes": None if boxes is None else _digest(Path(boxes)),
            "detector_weights": None if weights is None else _digest(Path(weights)),
            "settings": {key: self.config[key] for key in _SETTINGS}
            | {"batch_size": self.batch_size},
            "smoothing": SMOOTHING_CONSTANTS[smoothing],
        }


def detector_of(config: DictConfig, model: ExpressionModel) -> Detector:
    """The detector that the settings of a command name.

    Raises:
        ConfigError: A setting is wrong, a package missing, or the model looks at whole persons.
    """
    weights = config.detector_weights
    return make_detector(
        detector_name(config.faces, model),
        config.threshold,
        config.smallest_face,
        config.longest_side,
        None if weights is None else local_path("detector_weights", weights),
    )


def plain(value: Any) -> str | list[str]:
    """A setting that is one name or a list of them; a number stands for itself."""
    return [str(one) for one in value] if isinstance(value, ListConfig) else str(value)


def detector_name(faces: str | None, model: ExpressionModel) -> DetectorName:
    """The detector that `faces=` names, or by default the one that suits the model.

    Raises:
        ConfigError: There is none of that name, or the model looks at whole persons.
    """
    persons = model.label_space.name == EMOTIC.name
    if faces is None:
        return "none" if persons else "centerface"
    check_choice("faces", faces, get_args(DetectorName))
    if persons and faces != "none":
        raise ConfigError(
            f"faces={faces}: a model of EMOTIC looks at whole persons, not at faces; take "
            "faces=none for the whole picture, or in predict their boxes with boxes=FILE"
        )
    return cast(DetectorName, faces)


def _fingerprint(place: Path) -> str:
    """The digest of a checkpoint, or of an export's description, which holds those of its files."""
    if not is_export(place):
        return _digest(checkpoint_of(place))
    return _digest(place / CONFIG if place.is_dir() else place)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(items: Sequence[Item]) -> str:
    """Changes with the items, and with the size or date of a file."""
    states = [[item.name, item.kind, *_state(item)] for item in items]
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()


def _state(item: Item) -> tuple[int, ...]:
    try:
        about = Path(item.place).stat()
    except (OSError, ValueError):
        return ()
    return about.st_size, about.st_mtime_ns
