"""`ExpressionModel`: a trained model for pictures in memory or in files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from cage_lightning.data.images import open_picture
from cage_lightning.deploy.description import Description
from cage_lightning.deploy.expressions import Expressions
from cage_lightning.deploy.float32 import FLOAT32_CONVOLUTIONS
from cage_lightning.deploy.loading import load
from cage_lightning.deploy.networks import Predictor, combine
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import LabelSpace

Box = Sequence[float]


class ExpressionModel:
    """A trained model that predicts expressions from pictures of faces.

    It may be used from several threads at once.

    Attributes:
        description: What the model is.
        device: Where it computes.

    Args:
        description: What the model is.
        predictor: The model itself.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``..., or ``auto``: a GPU if there is one.

    Raises:
        ConfigError: There is no such device.
    """

    def __init__(
        self, description: Description, predictor: Predictor, device: str = "auto"
    ) -> None:
        self.description = description
        self.device = _device(device)
        try:
            self._predictor = predictor.eval().to(self.device)
        except (RuntimeError, AssertionError) as error:  # torch, without that kind of device
            raise ConfigError(f"device={device} cannot be used here: {error}") from error

    @classmethod
    def load(
        cls, path: str | Path | Sequence[str | Path], *, device: str = "auto"
    ) -> ExpressionModel:
        """Load a model from a file.

        Args:
            path: A run folder (its best checkpoint), a checkpoint, the folder of an export, or a
                file in one, an ONNX file of another system with a YAML file that describes it, or
                an export on the Hugging Face hub as ``hf://USER/NAME``; or several of them, whose
                predictions are averaged.
            device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``..., or ``auto``: a GPU if there is one.

        Raises:
            CheckpointError: The file is missing, damaged, or not a model.
            ConfigError: There is no such device.
        """
        loaded = load(path)
        return cls(loaded.description, loaded.predictor, device)

    @property
    def label_space(self) -> LabelSpace:
        """The categories and affect dimensions that the model knows."""
        return self.description.label_space

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to a picture before the network sees it."""
        return self.description.preprocessing

    def predict(
        self, images: Any, *, boxes: Sequence[Box | None] | None = None, batch_size: int = 64
    ) -> Expressions:
        """Predict the expressions in pictures that each show one face.

        Args:
            images: A picture or several: a path (an EXIF orientation is applied), a PIL picture, a
                NumPy array uint8 ``[H, W, 3]``, ``[H, W]`` or ``[B, H, W, 3]`` (RGB, not the BGR of
                OpenCV), a tensor uint8 ``[3, H, W]`` or ``[B, 3, H, W]``, or a sequence of them.
            boxes: For each picture the face in it, as left, top, right and bottom edge in pixels;
                the margin of the training is added. By default the whole picture is the face.
            batch_size: Pictures that the network sees at once.

        Returns:
            As many as there are pictures, in their order.

        Raises:
            DataError: A picture cannot be read, or a box lies outside it.
            ConfigError: There is another number of boxes than of pictures, or `images` is no
                picture.
        """
        pictures = list(_pictures(images))
        places = [None] * len(pictures) if boxes is None else list(boxes)
        if len(places) != len(pictures):
            raise ConfigError(f"there are {len(places)} boxes for {len(pictures)} pictures")
        crops = (
            self.preprocessing.crop(_opened(picture), box)
            for picture, box in zip(pictures, places, strict=True)
        )
        parts = [self.predict_crops(torch.stack(batch)) for batch in _batches(crops, batch_size)]
        return Expressions.joined(parts) if parts else self.predict_crops(self._no_crops())

    @torch.inference_mode()
    def predict_crops(self, images: Tensor) -> Expressions:
        """Predict from pixels as `Preprocessing.crop` makes them.

        Args:
            images: uint8 ``[B, 3, S, S]``, all of them in one batch.

        Raises:
            DataError: The images are of another shape or type.
        """
        size = self.preprocessing.image_size
        if images.dtype != torch.uint8 or tuple(images.shape[1:]) != (3, size, size):
            raise DataError(
                f"the model takes uint8 [B, 3, {size}, {size}], got {images.dtype} "
                f"{list(images.shape)}: preprocessing.crop makes such pixels"
            )
        if not len(images):
            outputs = torch.zeros(1, 0, self.description.layout.width)
        else:
            normalised = self.preprocessing.normalise(images.to(self.device))
            with FLOAT32_CONVOLUTIONS:
                outputs = self._predictor.each(normalised).float().cpu()
        return _expressions(outputs, self.description)

    def _no_crops(self) -> Tensor:
        size = self.preprocessing.image_size
        return torch.zeros(0, 3, size, size, dtype=torch.uint8)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available():
            name = "mps"
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device={name}: choose auto, cpu, cuda, cuda:N or mps") from error


def _expressions(outputs: Tensor, description: Description) -> Expressions:
    """The meaning of the outputs ``[M, B, width]`` of the members of an ensemble."""
    layout = description.layout
    each, mean = (layout.read(x) for x in (outputs.flatten(0, 1), combine(outputs, layout)))
    several = layout.space.multi_label

    def probabilities(logits: Tensor) -> Tensor:
        return logits.sigmoid() if several else logits.softmax(-1)

    def spread(values: Tensor | None) -> Any:
        if values is None or len(outputs) == 1:
            return None
        return values.reshape(*outputs.shape[:2], -1).std(0).numpy()

    return Expressions(
        layout.space,
        None if mean.logits is None else probabilities(mean.logits).numpy(),
        None if mean.affect is None else mean.affect.numpy(),
        spread(None if each.logits is None else probabilities(each.logits)),
        spread(each.affect),
    )


def _pictures(images: Any) -> Iterator[Any]:
    """Single pictures from what `ExpressionModel.predict` takes."""
    match images:
        case str() | Path() | Image.Image():
            yield images
        case np.ndarray() | Tensor():
            if images.ndim == 4:
                yield from images
            else:
                yield images
        case Iterable():
            for one in images:
                yield from _pictures(one)
        case _:
            raise ConfigError(
                f"a {type(images).__name__} is no picture: give a path, a PIL picture, an array "
                "[H, W, 3] or a tensor [3, H, W]"
            )


def _opened(picture: Any) -> Image.Image:
    """One picture as a PIL picture."""
    match picture:
        case Image.Image():
            return picture
        case str() | Path():
            return _read(Path(picture))
        case Tensor():
            picture = picture.cpu().numpy()
            array = picture.transpose(1, 2, 0) if picture.ndim == 3 else picture
        case _:
            array = picture
    if array.dtype != np.uint8 or not (array.ndim == 2 or array.shape[2:] in ((3,), (4,))):
        raise DataError(
            f"a picture is uint8, [H, W, 3] as an array and [3, H, W] as a tensor; got "
            f"{array.dtype} {list(picture.shape)}"
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _read(file: Path) -> Image.Image:
    try:
        with open_picture(file) as stored:
            return ImageOps.exif_transpose(stored)
    except Exception as error:  # Pillow's format readers let all kinds of errors through
        raise DataError(
            f"Cannot decode the picture {file}: {type(error).__name__}: {error}"
        ) from error


def _batches(crops: Iterator[Tensor], size: int) -> Iterator[list[Tensor]]:
    while batch := list(islice(crops, size)):
        yield batch
