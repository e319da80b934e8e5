"""The local page of a trained model."""

from __future__ import annotations

import logging

from omegaconf import DictConfig

from cage_lightning.commands.prediction_job import detector_of
from cage_lightning.deploy.loading import places_of
from cage_lightning.deploy.model import ExpressionModel
from cage_lightning.errors import ConfigError, check_between
from cage_lightning.server.http import MEGABYTE, PageServer, is_loopback
from cage_lightning.server.looking import Looker
from cage_lightning.system.output import say

log = logging.getLogger(__name__)


def serve(config: DictConfig) -> None:
    """Serve the page until the command is interrupted.

    Raises:
        CageError: What the user can put right.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    with make_server(config) as server:
        if not is_loopback(config.host):
            log.warning(
                "host=%s: whoever reaches this machine can open the page, without a password, and "
                "what they send is not encrypted",
                config.host,
            )
        say(f"{server.url} shows the page; Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("ended; nothing was kept")


def make_server(config: DictConfig) -> PageServer:
    """The server that `config` asks for; it listens, and answers once `serve_forever` is called.

    Raises:
        CageError: A setting is wrong, the model cannot be read, or the port is taken.
    """
    check_between("port", config.port, 0, 65_535)
    check_between("upload_mb", config.upload_mb, 0.1, 1_000)
    places = places_of(config.checkpoint)
    model = ExpressionModel.load(places, device=config.device)
    looker = Looker(model, detector_of(config, model), config.align)
    name = ", ".join(place.name for place in places)
    try:
        return PageServer(
            config.host, config.port, looker, name, round(config.upload_mb * MEGABYTE)
        )
    except OSError as error:
        raise ConfigError(
            f"host={config.host} port={config.port} cannot be listened at ({error.strerror}): "
            "choose another port=N, or port=0 for any free one"
        ) from error
