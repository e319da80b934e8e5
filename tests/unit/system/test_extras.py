"""Packages that not every installation has."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from cage_lightning.system.extras import NO_REPORTS, import_extra


@pytest.mark.parametrize("setting", NO_REPORTS)
@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("0", "0")])
def test_nothing_is_reported(
    monkeypatch: pytest.MonkeyPatch, setting: str, before: str | None, after: str
) -> None:
    monkeypatch.setenv(setting, before or "")
    if before is None:
        monkeypatch.delenv(setting)
    assert import_extra("json").__name__ == "json"
    assert os.environ[setting] == after


def test_a_missing_package() -> None:
    with pytest.raises(ImportError, match="nowhere"):
        import_extra("nowhere")


@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="pip install 'cage-lightning[faces]'")
def test_onnx_runtime_keeps_no_record(tmp_path: Path) -> None:
    code = "from cage_lightning.system.extras import import_extra; import_extra('onnxruntime')"
    environment = {k: v for k, v in os.environ.items() if k not in NO_REPORTS}
    subprocess.run(
        [sys.executable, "-c", code], env=environment | {"TMPDIR": str(tmp_path)}, check=True
    )
    assert list(tmp_path.iterdir()) == []
