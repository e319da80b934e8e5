"""Evaluating a checkpoint on the test split of a dataset."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch import seed_everything
from omegaconf import DictConfig, OmegaConf, open_dict

from cage_lightning.app import build
from cage_lightning.app.cli import typed_settings
from cage_lightning.app.data_nodes import DATA_OF_TRAINING
from cage_lightning.app.lightning_settings import OF_TRAINING
from cage_lightning.callbacks import OwnSigterm, progress_bar
from cage_lightning.commands.export_origin import origin_of
from cage_lightning.commands.preflight import check_limits, check_pictures
from cage_lightning.commands.results import (
    FIGURES,
    data_set,
    draw_figures,
    gather,
    refuse_to_replace,
    remove_figures,
    results,
    save_results,
)
from cage_lightning.commands.subgroups import Subgroups
from cage_lightning.deploy.folder import is_export
from cage_lightning.deploy.loading import checkpoint_of, load, places_of
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.errors import CheckpointError, ConfigError, check_names, check_seed
from cage_lightning.labels import LabelSpace, space_in_order
from cage_lightning.modules import ExpressionModule
from cage_lightning.predictions.matching import matched, read_mapping
from cage_lightning.predictions.table import common_space
from cage_lightning.report.subgroup_figure import draw_subgroups
from cage_lightning.report.subgroups import print_subgroups, write_subgroups
from cage_lightning.report.summary import print_results
from cage_lightning.runs.log import start_logging
from cage_lightning.runs.provenance import provenance
from cage_lightning.scores.circumplex import contradictions
from cage_lightning.system.paths import local_path, refuse_outside
from cage_lightning.system.storage import check_writable

log = logging.getLogger(__name__)


_OF_TRAINING = {
    "data": DATA_OF_TRAINING,
    "trainer": OF_TRAINING,
    "warmup": {""},
}
_ONLY_TRAINING = ("loss", "optimizer")
_ANOTHER_ORDER = (
    ": if its outputs are in another order than those of the data, name it with categories=[...]"
)


def evaluate(config: DictConfig) -> dict[str, Any] | None:
    """Evaluate a checkpoint on the test split of a dataset, also of another label space.

    Returns:
        The content of the metrics.json that it wrote; None on all ranks but the first, and after
        `trainer.fast_dev_run`, which keeps nothing.

    Raises:
        CageError: What the user can put right.
    """
    check_seed(config.seed)
    seed_everything(config.seed, workers=True, verbose=False)
    start_logging(None)
    _refuse_settings_of_training()
    check_limits(config.trainer)
    check_pictures(config.figures, config.pictures)
    asked = Subgroups.asked(config)
    places = places_of(config.checkpoint)
    folder = _output(config, places)
    check_writable(folder, "output=DIR")
    module, preprocessing, form = _module(config, places)
    _prepare_data(config, preprocessing)
    data = build.build_data(config)
    mapping = _mapping(config, module)
    shared = common_space(module.label_space, data.label_space, mapping)  # else an early error
    meaning = matched(module.label_space, data.label_space, mapping)
    if shared != data.label_space:
        log.info(
            "scored is what the model and the data both know: %d of the %d categories of %s, %s",
            *(len(shared.categories), len(data.label_space.categories), config.choices.data),
            " and ".join(shared.dimensions) or "no affect",
        )
    renamed = {name: theirs for name, theirs in meaning.items() if theirs != name}
    if module.predicts_categories and renamed:
        said = [f"{name} is {theirs or 'left out'}" for name, theirs in renamed.items()]
        log.info("of the categories of the model %s", ", ".join(said))
    data.setup("test")
    asked.known(data.test.id, data.test.groups)  # else an early error
    asked.tell(data.test.id)
    if not config.trainer.fast_dev_run:
        refuse_to_replace(folder, config, data)
    trainer = build.build_trainer(
        config, callbacks=[progress_bar(), OwnSigterm()], logger=False, enable_checkpointing=False
    )
    module.flip = config.flip
    try:
        trainer.test(module, datamodule=data, verbose=False)
    except SystemExit as left:  # as Lightning leaves after Ctrl-C and SIGTERM, with exit code 1
        if isinstance(left.__context__, KeyboardInterrupt):
            raise left.__context__ from None
        raise
    predictions = gather(module, data.test, config.clip, mapping)
    if not trainer.is_global_zero:
        return None
    for contradiction in contradictions(predictions):
        log.warning("%s%s", contradiction, "" if config.module is None else _ANOTHER_ORDER)
    if config.trainer.fast_dev_run:
        log.info("fast_dev_run: it works; nothing was kept")
        return None
    groups = asked.known(predictions.id, predictions.groups)
    predictions = replace(predictions, groups=groups)
    names = [str(place if is_export(place) else checkpoint_of(place)) for place in places]
    meta = (
        provenance(trainer)
        | data.provenance()
        | data_set(config, data)
        | {
            "checkpoint": names if names[1:] else names[0],
            "form": form,
            "trained_on": module.label_space.name,
            "trained_with": _trained_with(places),
            "mapping": dict(meaning) if shared != data.label_space else None,
            "flip": config.flip,
            "clip": config.clip,
        }
    )
    content = results(predictions, meta, asked.names)
    content["meta"]["scores"] |= asked.origin
    _say_whose_baselines(content, module)
    print_results(content, str(folder))  # should writing fail, the numbers are seen
    print_subgroups(content)
    drawn = []
    if config.figures:
        drawn = draw_figures(folder, predictions, data, config.pictures)
        drawn += draw_subgroups(folder / FIGURES, content)
    remove_figures(folder, drawn)
    write_subgroups(folder, content)
    save_results(folder, predictions, content)
    return content


def _trained_with(places: list[Path]) -> dict[str, str] | None:
    """The names of data set, network and so on that the model says; None where it says nothing."""
    try:
        return dict(origin_of(places).choices) or None
    except CheckpointError:  # weights of another program
        return None


def _say_whose_baselines(content: dict[str, Any], module: ExpressionModule) -> None:
    """Weights without a run do not say what they were trained on; the simple predictors need it."""
    known = content["meta"]["scores"]["baselines_know"]
    if known is not None and module.training_statistics is None:
        log.info(
            "the model does not say what it was trained on: the predictors that it is compared "
            "with know the training split of AffectNet, whatever the data are"
        )


def _refuse_settings_of_training() -> None:
    for key in typed_settings():
        group, _, name = key.partition(".")
        if name in _OF_TRAINING.get(group, ()) or (name and group in _ONLY_TRAINING):
            raise ConfigError(f"{key} says how to train, and evaluate trains nothing: leave it out")


def _module(
    config: DictConfig, places: list[Path]
) -> tuple[ExpressionModule, Preprocessing | None, str]:
    """The module, what its pictures go through as far as it says so, and what it was read from."""
    if config.model is None and config.module is None:
        if config.categories is not None:
            raise ConfigError("categories is for a plain state_dict: a run names its own")
        loaded = load(places)
        return build.module_of(loaded), loaded.description.preprocessing, loaded.form
    if config.model is None or config.module is None:
        raise CheckpointError("a plain state_dict needs both model=... and loss=...")
    if len(places) > 1:
        raise CheckpointError("of plain state_dicts only one can be evaluated: name one file")
    module = build.module_for_weights(config, _space(config), checkpoint_of(places[0]))
    if config.categories is not None and not module.predicts_categories:
        raise ConfigError("categories has no effect, because this loss has none: leave it out")
    return module, None, "state_dict"


def _mapping(config: DictConfig, module: ExpressionModule) -> Mapping[Any, Any] | None:
    """What some categories of the model are in the data."""
    given = config.mapping
    if isinstance(given, DictConfig):
        given = OmegaConf.to_container(given, resolve=True)
    mapping = read_mapping(given)
    if mapping is not None and not module.predicts_categories:
        raise ConfigError("mapping names categories, and the model predicts none: leave it out")
    return mapping


def _space(config: DictConfig) -> LabelSpace:
    """What the outputs of a plain state_dict mean."""
    space = build.build_data(config).label_space
    names = check_names("categories", config.categories)
    if names is None:
        return space
    try:
        return space_in_order(names, space)
    except ValueError as error:
        raise ConfigError(f"categories: {error}") from error


def _prepare_data(config: DictConfig, preprocessing: Preprocessing | None) -> None:
    """Let the data go through what the model says that its pictures went through.

    A plain state_dict says nothing: there the config alone counts. A margin that was typed does so
    everywhere.
    """
    with open_dict(config):
        if preprocessing is None:
            config.data.image_size = config.model.image_size
            return
        config.data.image_size = preprocessing.image_size
        if "data.margin" not in typed_settings():
            config.data.margin = preprocessing.margin
        config.augment.mean, config.augment.std = (
            [*preprocessing.mean],
            [*preprocessing.std],
        )


def _output(config: DictConfig, places: list[Path]) -> Path:
    """Where the results go: by default into the run folder or export, or beside the file.

    Raises:
        CheckpointError: There is no such file.
        ConfigError: There are several models, and nothing says where.
        DataError: That would be through a link that leads out of it.
    """
    if config.output:
        return local_path("output", config.output)
    if len(places) > 1:
        raise ConfigError("output=DIR is needed: several checkpoints have no folder of their own")
    [place] = places
    data = str(config.choices.data)
    if place.is_dir() and is_export(place):
        refuse_outside(place, place / "evaluations" / data / FIGURES)
        return place / "evaluations" / data
    file = checkpoint_of(place)
    if file.parent.name == "checkpoints":  # of a run folder
        around, output = file.parents[1], file.parents[1] / "evaluations" / data
    else:
        around, output = file.parent, file.with_name(f"{file.stem}-{data}")
    for place in (output, output / FIGURES):
        refuse_outside(around, place)
    return output
