"""A trained model as a folder that other people can use, tested before it is called done."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, open_dict

from cage_lightning.app import build
from cage_lightning.app.cli import typed_settings
from cage_lightning.app.data_nodes import DATA_OF_TRAINING
from cage_lightning.commands.export_origin import Origin, origin_of
from cage_lightning.commands.export_tests import Tests, fitted, measure_forms, some_pictures
from cage_lightning.data.module import ExpressionData
from cage_lightning.deploy.card import card
from cage_lightning.deploy.folder import CARD
from cage_lightning.deploy.forms import FORMS, GRAPH, FormName, make
from cage_lightning.deploy.hub import push, repository_of
from cage_lightning.deploy.loading import Loaded, load, places_of
from cage_lightning.deploy.networks import Networks, Predictor
from cage_lightning.deploy.writing import members, write_config, write_weights
from cage_lightning.errors import ConfigError, check_between, check_choice, check_seed
from cage_lightning.predictions.table import common_space
from cage_lightning.report.summary import print_results
from cage_lightning.runs.log import start_logging
from cage_lightning.system.atomic import new_folder, write_atomic
from cage_lightning.system.paths import local_path
from cage_lightning.system.storage import check_writable

log = logging.getLogger(__name__)

_OF_THE_MODEL = ("image_size", "margin")
_OF_TRAINING = (*DATA_OF_TRAINING, "seed")


def export(config: DictConfig) -> Path:
    """Export the model that `config` names.

    Returns:
        The folder that was made.

    Raises:
        CageError: What the user can put right. ConfigError also where a form lost too much: then
            it is not in the folder, which is complete otherwise.
    """
    check_seed(config.seed)
    start_logging(None)
    forms = _forms(config)
    output = _output(config)
    places = places_of(config.checkpoint)
    repository = repository_of(config.push_to_hub) if config.push_to_hub else None
    plain = load(places)
    networks = members(plain)
    origin = origin_of(places)
    data = _data(config, plain, origin)
    data.setup("fit" if config.calibrate or "openvino_int8" in forms else "test")
    calibration = plain.description.calibration
    if config.calibrate:
        calibration = fitted(plain, data)
    description = replace(plain.description, calibration=calibration)
    predictor = Networks(networks, description.layout, calibration).eval()
    loaded = Loaded(description, predictor)
    with new_folder(output) as folder:
        write_weights(folder, loaded)
        made = _make(folder, loaded, forms, data, config.quantisation_samples)
        before = plain.predictor if config.calibrate else None
        tests = measure_forms(loaded, made, before, data, config.max_loss)
        left_out = [] if config.force else [name for name, form in tests.forms.items() if form.loss]
        described: dict[str, dict[str, Any]] = {
            name: FORMS[name].to_dict(description.preprocessing.image_size) | form.to_dict()
            for name, form in tests.forms.items()
            if name not in left_out
        }
        _delete(folder, left_out)
        made_by = origin.made_by(str(config.choices.data), data)
        text = card(description, len(networks), described, tests.content, made_by)
        write_atomic(folder / CARD, text)
        write_config(folder, loaded, described, tests.content, made_by)
    print_results(tests.content, str(output))
    if repository is not None:
        log.info("uploaded to %s", push(output, repository, config.private))
    _refuse(tests, left_out, output)
    return output


def _forms(config: DictConfig) -> list[FormName]:
    """The forms that are asked for, and the settings of them checked."""
    check_between("max_loss", config.max_loss, 0, 1)
    if config.quantisation_samples < 1:
        raise ConfigError(f"quantisation_samples={config.quantisation_samples} is less than 1")
    for name in config.forms:
        check_choice("forms", name, FORMS)
    return [cast(FormName, name) for name in dict.fromkeys(config.forms)]


def _output(config: DictConfig) -> Path:
    output = local_path("output", config.output).expanduser()
    if output.exists() or output.is_symlink():
        raise ConfigError(
            f"{output} exists already, and nothing is overwritten by an export: choose another "
            "output=DIR, or delete it"
        )
    check_writable(output, "output=DIR")
    return output


def _data(config: DictConfig, loaded: Loaded, origin: Origin) -> ExpressionData:
    """The data, its pictures as the model takes them, split as its training split them."""
    known = f"; the model was trained on {origin.data}" if origin.data else ""
    if not isinstance(config.data, DictConfig) or config.data.get("_target_") is None:
        raise ConfigError(f"data=... is needed, whose test split the export is tested on{known}")
    for key in typed_settings():
        group, _, name = key.partition(".")
        if group == "data" and name in (*_OF_THE_MODEL, *_OF_TRAINING):
            raise ConfigError(f"{key} is a setting of the model's training: leave it out")
    own = config.choices.data == origin.data
    if config.calibrate:
        origin.check_calibration(own)
    preprocessing = loaded.description.preprocessing
    with open_dict(config):
        config.data.image_size, config.data.margin = preprocessing.image_size, preprocessing.margin
        if own:
            config.data.update(origin.splitting)
    data = build.build_data(config)
    common_space(loaded.description.label_space, data.label_space)  # else an error before the work
    return data


def _make(
    folder: Path, loaded: Loaded, forms: list[FormName], data: ExpressionData, samples: int
) -> Mapping[FormName, Predictor]:
    made: dict[FormName, Predictor] = {}
    for name in forms:
        log.info("writing the form %s", name)
        made[name] = make(
            *(name, folder, loaded.description, loaded.predictor),
            lambda: some_pictures(data, loaded.description.preprocessing, samples),
        )
    (folder / GRAPH).unlink(missing_ok=True)
    return made


def _delete(folder: Path, forms: list[FormName]) -> None:
    for name in forms:
        for file in FORMS[name].files:
            (folder / file).unlink()


def _refuse(tests: Tests, left_out: list[FormName], output: Path) -> None:
    for name, form in tests.forms.items():
        if form.loss and name not in left_out:
            log.warning("%s %s; kept, as force=true says", name, form.loss)
    if left_out:
        losses = "; ".join(f"{name} {tests.forms[name].loss}" for name in left_out)
        raise ConfigError(
            f"{losses}. It is left out of {output}, which is complete otherwise; to keep it, "
            "export with force=true or a larger max_loss=... to another output=DIR"
        )
    log.info("exported to %s", output)
