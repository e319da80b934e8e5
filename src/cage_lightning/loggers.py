"""The Weights & Biases logger, set up so that it never waits for a login or a network."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import wandb
from lightning.pytorch.loggers import WandbLogger

from cage_lightning.terminal import first_process

log = logging.getLogger(__name__)

_SECONDS_TO_CONNECT = 20.0


def wandb_logger(
    run_dir: str, project: str, group: str, tags: Sequence[str], log_model: bool
) -> WandbLogger:
    """One W&B run for one run folder, the same one when the run is taken up again.

    Offline unless WANDB_MODE says otherwise or this machine is logged in; a server that does not
    answer within 20 s turns it offline too.

    Args:
        run_dir: The run folder; its name is the run's name.
        project: W&B project.
        group: W&B group: the runs of one experiment.
        tags: W&B tags.
        log_model: Upload the best checkpoint as an artifact.
    """
    folder = Path(run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, object] = {
        "name": folder.name,
        "id": hashlib.sha256(f"{project}/{group}/{folder.name}".encode()).hexdigest()[:16],
        "project": project,
        "group": group,
        "tags": list(tags),
        "dir": run_dir,
        "resume": "allow",
    }
    # Other ranks own no W&B run; Lightning never touches theirs.
    experiment = _start(settings) if first_process() else None
    return WandbLogger(
        save_dir=run_dir, project=project, log_model=log_model, experiment=experiment
    )


def _start(settings: dict[str, object]) -> wandb.Run:
    mode = os.environ.get("WANDB_MODE") or ("online" if _logged_in() else "offline")
    limits = wandb.Settings(init_timeout=_SECONDS_TO_CONNECT, silent=True)
    try:
        run = wandb.init(**settings, mode=mode, settings=limits)  # type: ignore[arg-type]
    except wandb.Error as error:
        log.warning("W&B does not answer (%s): logging offline", str(error).splitlines()[0])
        wandb.teardown()  # it still holds the id
        mode = "offline"
        run = wandb.init(**settings, mode=mode, settings=limits)  # type: ignore[arg-type]
    # A resumed offline run counts its steps anew: plot over the optimisation step.
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step")
    if mode == "offline":
        log.info("W&B is offline; upload later with: wandb sync %s", Path(run.dir).parent)
    return run


def _logged_in() -> bool:
    return wandb.login(prompt=False, verify=False)
