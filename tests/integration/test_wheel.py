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
def test_the_wheel_trains_from_another_folder(tmp_path: Path, few_faces: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    source = _with_local_settings(tmp_path / "source")
    subprocess.run([*wheel, str(source)], check=True)
    (built,) = tmp_path.glob("*.whl")
    assert cage_lightning.__version__ in built.name
    names = set(ZipFile(built).namelist())
    local = {name for name in names if "/conf/local/" in name}
    assert local == {"cage_lightning/conf/local/example.yaml"}
    files = {file.relative_to(source / "src") for file in (source / "src").rglob("*.*")}
    kept = {str(file) for file in files if file.suffix != ".pyc"}
    assert {f"cage_lightning/server/page.{kind}" for kind in ("html", "css", "js")} <= kept <= names
    site = tmp_path / "site"
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-compile", "--target", str(site), str(built)],
        check=True,
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = environment(tmp_path) | {"PYTHONPATH": str(site)}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=elsewhere, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    imports = (
        "from cage_lightning.app.schema import CONF_DIR; from hydra_plugins import cage_launcher"
    )
    conf, launcher = map(
        Path, run("-c", f"{imports}; print(CONF_DIR, cage_launcher.__file__)").split()
    )
    assert conf == site / "cage_lightning" / "conf"
    assert launcher.parent == site / "hydra_plugins" / "cage_launcher"
    assert "maxvit_t" in run("-m", "cage_lightning.train", "--cfg", "job", "model=maxvit")
    few = (f"data.root={few_faces}", "trainer.max_epochs=1", "model.image_size=32")
    run("-m", "cage_lightning.train", "-m", *TINY, *few)
    assert (elsewhere / "runs/default/demo8-tiny-combined-s0/metrics.json").is_file()
