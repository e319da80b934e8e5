"""A LightningDataModule per dataset."""

from __future__ import annotations

from typing import Any, ClassVar

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.module import ExpressionData
from cage_lightning.data.readers import affectnet, emotic
from cage_lightning.data.readers.ferplus import read_ferplus
from cage_lightning.data.readers.rafdb import read_rafdb
from cage_lightning.demo import emotic as demo_emotic
from cage_lightning.demo import faces as demo_faces
from cage_lightning.errors import check_choice
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC


class AffectNet(ExpressionData):
    """AffectNet, from the release that lies under `root`.

    Args:
        release: A name in `affectnet.RELEASES`, or ``auto`` to find out.
        settings: Those of `ExpressionData`.
    """

    def __init__(self, *, release: str, **settings: Any) -> None:
        super().__init__(**settings)
        check_choice("data.release", release, ("auto", *affectnet.RELEASES))
        self.release = release

    @property
    def reading(self) -> dict[str, Any]:
        """See `ExpressionData`."""
        return {"release": self.release}

    def read(self, split: str, on_error: str) -> Annotations:
        """See `read_affectnet`."""
        return affectnet.read_affectnet(self.root, split, self.label_space, self.release, on_error)


class DemoFaces(AffectNet):
    """Drawn faces, written in the layout of the AffectNet release on first use.

    Args:
        size: ``tiny``, ``demo`` or ``full``.
        settings: Those of `AffectNet`.
    """

    def __init__(self, *, size: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.size = size

    def read(self, split: str, on_error: str) -> Annotations:
        """Draw the faces if they are not there yet, then read them as any release."""
        demo_faces.write_release(self.root, self.size)
        return super().read(split, on_error)


class Emotic(ExpressionData):
    """EMOTIC, from the release that lies under `root`. A sample is a person: the body box.

    Args:
        release: A name in `emotic.RELEASES`, or ``auto`` to find out.
        drop_invalid: Leave out persons whose affect is unknown, as the published converter does;
            if not, losses and metrics pass over what is unknown.
        settings: Those of `ExpressionData`.
    """

    selections: ClassVar[tuple[str, ...]] = ("val",)

    def __init__(self, *, release: str, drop_invalid: bool, **settings: Any) -> None:
        super().__init__(**settings)
        check_choice("data.label_space", self.label_space.name, (EMOTIC.name,))
        check_choice("data.release", release, ("auto", *emotic.RELEASES))
        self.release = release
        self.drop_invalid = drop_invalid

    @property
    def reading(self) -> dict[str, Any]:
        """See `ExpressionData`."""
        return {"release": self.release, "drop_invalid": self.drop_invalid}

    def read(self, split: str, on_error: str) -> Annotations:
        """See `read_emotic`."""
        return emotic.read_emotic(self.root, split, self.release, on_error, self.drop_invalid)


class DemoEmotic(Emotic):
    """Drawn scenes with persons, written in the layout of EMOTIC on first use.

    Args:
        size: ``tiny`` or ``demo``.
        settings: Those of `Emotic`.
    """

    def __init__(self, *, size: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.size = size

    def read(self, split: str, on_error: str) -> Annotations:
        """Draw the scenes if they are not there yet, then read them as any release."""
        demo_emotic.write_release(self.root, self.size)
        return super().read(split, on_error)


class RafDb(ExpressionData):
    """RAF-DB: categories without valence and arousal.

    Args:
        settings: Those of `ExpressionData`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        check_choice("data.label_space", self.label_space.name, (AFFECTNET_7.name,))

    @property
    def reading(self) -> dict[str, Any]:
        """See `ExpressionData`."""
        return {}

    def read(self, split: str, on_error: str) -> Annotations:
        """See `read_rafdb`."""
        return read_rafdb(self.root, split, on_error)


class FerPlus(ExpressionData):
    """FER+: categories without valence and arousal.

    Args:
        settings: Those of `ExpressionData`.
    """

    selections: ClassVar[tuple[str, ...]] = ("val",)

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        names = (AFFECTNET_8.name, AFFECTNET_7.name)
        check_choice("data.label_space", self.label_space.name, names)

    @property
    def reading(self) -> dict[str, Any]:
        """See `ExpressionData`."""
        return {}

    def read(self, split: str, on_error: str) -> Annotations:
        """See `read_ferplus`."""
        return read_ferplus(self.root, split, self.label_space, on_error)
