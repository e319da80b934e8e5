"""`python -m cage_lightning.train`: train one model, or a sweep of them with `-m`."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from cage_lightning.app.cli import command


@command("train")
def main(config: DictConfig) -> Any:
    """Train, choose the epoch, and report on the test split; a sweeper gets the objective."""
    if config.dry:
        from cage_lightning.commands.dry_run import dry_run_of_one

        dry_run_of_one(config)
        return None
    from cage_lightning.commands.train import train
    from cage_lightning.runs.objective import returned

    return returned(config, train(config))


if __name__ == "__main__":
    main()
