from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest
from lightning.pytorch import Trainer

from cage_lightning.runs import provenance


def test_a_copy_that_is_not_installed_can_train(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package == "cage-lightning":
            raise PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(provenance, "version", version)
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    versions = provenance.provenance(trainer)["versions"]
    assert versions["cage-lightning"] is None
    assert versions["torch"] == "1.0"
