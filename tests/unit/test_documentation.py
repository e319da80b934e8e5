"""Every command, setting, link and file that the documentation names is there."""

from __future__ import annotations

import ast
import csv
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from hydra.errors import HydraException
from omegaconf import OmegaConf

import cage_lightning
from cage_lightning.app.arguments import check_overrides
from cage_lightning.app.command import Command
from cage_lightning.app.data_nodes import data_nodes
from cage_lightning.app.schema import CONF_DIR, SCHEMAS
from cage_lightning.app.signatures import check_settings
from cage_lightning.labels import AFFECTNET_8
from cage_lightning.models.tiny import TinyNetwork
from tests.conftest import composed
from tests.documentation import PAGES, ROOT, Page

# The other programs that a reader types.
OTHER_PROGRAMS = ("cd", "git", "make", "pip", "source", "tensorboard", "wandb")
# The settings that `app.build` computes.
COMPUTED = ("class_weights", "precision")
# Image size and widths of the small network in tests/golden.
SMALLER = (64, (16, 16, 16, 16))
# The reader makes this file, and git ignores it.
LOCAL = "conf/local/default.yaml"
# Folders that a page may name files of.
FOLDERS = ("conf", "docs", "experiments", "benchmarks", "notebooks", "src", "tests", ".github")

# The choices of each group.
CHOICES = {
    folder.relative_to(CONF_DIR).as_posix(): {file.stem for file in folder.glob("*.yaml")}
    for folder in CONF_DIR.rglob("*")
    if folder.is_dir()
}
# Settings that only some choices have.
OF_A_CHOICE = ("logger.wandb.log_model", "logger.wandb.pictures", "data.size")
MISSPELT_COMMAND = (
    "```bash\npython -m cage_lightning.train data=demo8 \\\n  optimiser.lr=1 # this\n```\n"
)
MISSPELT_LAUNCHER = "`python -m cage_lightning.train sweep=table6 hydra.launcher.cpu_slotz=2`"

pages = pytest.mark.parametrize("page", [Page(path) for path in PAGES], ids=lambda page: page.path)


def first_of(setting: str) -> str:
    """The first value of a setting that is searched, or its only one."""
    override = OverridesParser.create().parse_override(setting)
    if not override.is_sweep_override():
        return setting.partition("=")[2]
    space: Any = override.value()
    return str(space.start if isinstance(space, IntervalSweep) else space.list[0])


def first_job(page: Page, arguments: list[str]) -> list[str]:
    """The settings of a command without its options, or of the first job of a sweep.

    The choices of the other jobs of a sweep have to exist.
    """
    settings = [a for a in arguments if not a.startswith("-") and a != "job"]
    if not {"-m", "--multirun"} & {*arguments}:
        return settings
    first = []
    for key, _, values in (setting.partition("=") for setting in settings):
        each = values.split(",") if not {*"[("} & {*values} else [first_of(f"{key}={values}")]
        assert key not in CHOICES or CHOICES[key] >= {*each}, f"{page.path}: {key}={values}"
        first.append(f"{key}={each[0]}")
    return first


def without_slurm(settings: list[str]) -> list[str]:
    """The settings without those of the SLURM launcher, which have to be in its file."""
    known = OmegaConf.load(CONF_DIR / "hydra/launcher/slurm.yaml")
    of_slurm = [setting for setting in settings if setting.startswith("hydra.launcher.")]
    for setting in of_slurm:
        assert setting.removeprefix("hydra.launcher.").partition("=")[0] in known, setting
    return [s for s in settings if s not in (*of_slurm, "hydra/launcher=slurm")]


@cache
def compose_and_bind(name: str, *settings: str) -> None:
    """Compose what a command would, and bind it to the signatures of what it names."""
    config = composed(*settings, config_name=name)
    if name == "train":
        config.run_dir = "run"  # which `train` fills in
    if name == "evaluate" and config.model is None:
        config.model = {"image_size": 64}  # which `evaluate` reads from the checkpoint
    nodes = [config[k] for k in config if k != "data" and not OmegaConf.is_missing(config, k)]
    for node in (*nodes, *(data_nodes(config.data) if "data" in config else ())):
        check_settings(node, given=COMPUTED)


@cache
def keys_of(name: str) -> set[str]:
    """The settings of a command, with dots, as far as its config has them by default."""
    chosen = ["data=demo8"] if name in ("evaluate", "prepare", "analyze") else []
    return set(keys_in(OmegaConf.to_container(composed(*chosen, config_name=name))))


def keys_in(node: Any) -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else ():
        yield key
        yield from (f"{key}.{further}" for further in keys_in(value))


# Those of a data set of one's own.
OF_A_TABLE = {*keys_in(OmegaConf.to_container(OmegaConf.load(CONF_DIR / "data/table.yaml")))}


@pages
def test_every_command_composes(page: Page) -> None:
    for name, arguments in page.commands():
        assert name in SCHEMAS, f"{page.path}: there is no command {name}"
        settings = first_job(page, arguments)
        check_overrides(settings, Command(name))
        if "hydra/launcher=slurm" in settings:  # no part of every installation
            settings = without_slurm(settings)
        if Command(name).groups:
            compose_and_bind(name, *sorted(settings))
        else:  # nothing to compose
            unknown = {setting.partition("=")[0] for setting in settings} - keys_of(name)
            assert not unknown, f"{page.path}: {name} has no {unknown}"


@pages
def test_every_setting_is_one(page: Page) -> None:
    for setting in page.settings():
        key, _, value = setting.lstrip("~").partition("=")
        where = f"{page.path}: {setting}"
        if key in CHOICES:
            assert value in {*CHOICES[key], ""} or value.isupper(), where
        elif not key.startswith(("+", "hydra")):
            known = key in (*OF_A_CHOICE, *OF_A_TABLE)
            assert known or any(key in keys_of(name) for name in SCHEMAS), where


@pages
def test_every_program_is_known(page: Page) -> None:
    for line in page.shell:
        known = line.startswith("python -m cage_lightning.") or line.split()[0] in OTHER_PROGRAMS
        assert known, f"{page.path}: {line}"


@pages
def test_every_make_target_exists(page: Page) -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(page.make_targets()) <= set(targets)


@pages
def test_every_link_leads_somewhere(page: Page) -> None:
    for link in page.links():
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page.path).parent / name if name else ROOT / page.path
        assert target.exists(), f"{page.path}: {link}"
        if anchor:
            path = target.resolve().relative_to(ROOT.resolve()).as_posix()
            assert anchor in Page(path).anchors(), f"{page.path}: {link}"


@pages
def test_every_file_that_is_named_exists(page: Page) -> None:
    if page.path == "CHANGELOG.md":
        return  # it speaks of the past as well
    for code in page.inline:
        named = re.fullmatch(r"[\w./-]+", code) and code.split("/")[0] in FOLDERS and "/" in code
        there = code in (*page.new_files, LOCAL) or (ROOT / code).exists()
        assert there or not named, f"{page.path}: {code}"


def test_the_examples_in_python_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "tests/golden/run_479195c/finished", tmp_path / "runs/default")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(TinyNetwork.__init__, "__defaults__", SMALLER)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    names: dict[str, Any] = {}
    for block in Page("docs/python.md").blocks("python"):
        exec(block, names)
    assert 0 <= names["scores"]["accuracy"] <= 1
    assert names["interval"].low <= names["ccc"] <= names["interval"].high
    assert names["config"].choices.model == "tiny"
    assert {face.category for face in names["found"]} <= set(AFFECTNET_8.categories)


def test_the_table_of_public_names_is_complete() -> None:
    text = Page("docs/python.md").text
    named = [
        name for name in cage_lightning.__all__ if f"| `{name}`" in text or f", `{name}`" in text
    ]
    assert named == [name for name in cage_lightning.__all__ if name != "__version__"]


def test_the_recipes_compose(tmp_path: Path) -> None:
    page = Page("CONTRIBUTING.md")
    for name, content in page.new_files.items():
        if name.startswith("conf/"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
    recipes = Page("CONTRIBUTING.md", language="shell")
    commands = list(recipes.commands())
    assert len(commands) == 9
    for command, arguments in commands:
        composed(f"hydra.searchpath=[file://{tmp_path}/conf]", *arguments, config_name=command)


def test_the_sweep_of_wandb_is_the_file_that_is_shown() -> None:
    _, content = (ROOT / "docs/wandb-sweep.yaml").read_text().split("\n", 1)
    assert f"# docs/wandb-sweep.yaml\n{content}```" in Page("docs/wandb-sweeps.md").text


def test_new_python_files_of_the_recipes_are_python() -> None:
    new = Page("CONTRIBUTING.md").new_files.items()
    programs = {name: content for name, content in new if name.endswith(".py")}
    assert len(programs) == 4
    for name, content in programs.items():
        ast.parse(content, name)


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == cage_lightning.__version__
    assert citation["preferred-citation"]["title"] in " ".join(Page("README.md").text.split())


def test_the_workflow_runs_what_has_to_pass() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert (ROOT / ".ci/run").is_file()


@pytest.mark.parametrize(
    ("test", "text", "message"),
    [
        (test_every_command_composes, MISSPELT_COMMAND, "optimiser"),
        (test_every_command_composes, "`python -m cage_lightning.trian seed=1`", "trian"),
        (test_every_command_composes, MISSPELT_LAUNCHER, "cpu_slotz"),
        (test_every_setting_is_one, "Set `optimizer.l=1`.", "optimizer.l=1"),
        (test_every_setting_is_one, "Set `model=maxwit`.", "model=maxwit"),
        (test_every_program_is_known, "```bash\npyhton -m cage_lightning.train\n```\n", "pyhton"),
        (test_every_make_target_exists, "Type `make demmo`.", "demmo"),
        (test_every_link_leads_somewhere, "[Here](nowhere.md).", "nowhere.md"),
        (test_every_file_that_is_named_exists, "See `conf/nothing.yaml`.", "conf/nothing.yaml"),
    ],
)
def test_what_is_misspelt_is_found(
    tmp_path: Path, test: Callable[[Page], None], text: str, message: str
) -> None:
    (tmp_path / "page.md").write_text(text)
    with pytest.raises((AssertionError, HydraException), match=message):
        test(Page(str(tmp_path / "page.md")))


def numbers(path: str, column: str, *key: str) -> str:
    """A number of a table of results, as a page prints it: of data, loss, (predictor,) metric."""
    with (ROOT / path).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if {*key} <= {*row.values()}]
    (row,) = rows
    return f"{float(row[column]):.3f}"


def test_the_expected_results_are_those_of_the_files() -> None:
    text = Page("README.md").text.partition("## Expected results")[2].partition("\n## ")[0]
    drawn = {
        ("discrete", "model", "f1_weighted"),
        ("combined", "model", "f1_weighted"),
        ("combined", "model", "rmse_pooled"),
        ("combined", "model", "ccc_pooled"),
        ("combined", "lookup", "rmse_pooled"),
        ("combined", "lookup", "ccc_pooled"),
        ("va", "model", "rmse_pooled"),
        ("va", "model", "ccc_pooled"),
    }
    paper = {
        ("discrete", "f1_weighted"),
        ("combined", "f1_weighted"),
        ("combined", "ccc_pooled"),
        ("va", "ccc_pooled"),
    }
    table, expected = "experiments/table6_demo/results.csv", "experiments/table6/expected.csv"
    found = [numbers(table, "mean", "demo8", *key) for key in drawn]
    found += [numbers(expected, "published", "affectnet8", "maxvit", *key) for key in paper]
    found += [
        numbers("experiments/fer2013/results.csv", column, "fer2013", "model", "accuracy")
        for column in ("mean", "sample_low", "sample_high")
    ]
    assert sorted(found) == sorted(re.findall(r"\b0\.\d{3}\b", text))
