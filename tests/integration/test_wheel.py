"""The wheel carries conf/ and the page's files with it and works from any folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

import cage_lightning
from tests.conftest import TINY, environment

CHECKOUT = Path(__file__).resolve().parents[2]


def _with_local_settings(folder: Path) -> Path:
    """A copy of what the wheel is made from, on a machine with settings of its own."""
    for name in ("src", "conf"):
        shutil.copytree(CHECKOUT / name, folder / name)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(CHECKOUT / name, folder)
    (folder / "conf/local/default.yaml").write_text("entity: mine\n")
    return folder


@pytest.mark.slow
def test_the_wheel_trains_from_another_folder(tmp_path: Path, demo_root: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    source = _with_local_settings(tmp_path / "source")
    subprocess.run([*wheel, str(source)], check=True)
    (built,) = tmp_path.glob("*.whl")
    assert cage_lightning.__version__ in built.name
    names = set(ZipFile(built).namelist())
    local = {name for name in names if "/conf/local/" in name}
    assert local == {"cage_lightning/conf/local/example.yaml"}
    assert {f"cage_lightning/server/page.{kind}" for kind in ("html", "css", "js")} <= names
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(built)], check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = environment(demo_root) | {"PYTHONPATH": str(site)}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=elsewhere, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    found = run("-c", "from cage_lightning.app.schema import CONF_DIR; print(CONF_DIR)").strip()
    assert Path(found) == site / "cage_lightning" / "conf"
    assert "maxvit_t" in run("-m", "cage_lightning.train", "--cfg", "job", "model=maxvit")
    launcher = run("-c", "from hydra_plugins import cage_launcher as c; print(c.__file__)").strip()
    assert Path(launcher).parent == site / "hydra_plugins" / "cage_launcher"
    run("-m", "cage_lightning.train", "-m", *TINY, "trainer.max_epochs=1")
    assert (elsewhere / "runs/default/demo8-tiny-combined-s0/metrics.json").is_file()
    run("-m", "cage_lightning.collect", "table=table6", "output=table6")
    assert (elsewhere / "table6/page.html").is_file()
