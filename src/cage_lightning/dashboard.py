"""`python -m cage_lightning.dashboard`: a W&B workspace and report of an experiment."""

from __future__ import annotations

from omegaconf import DictConfig

from cage_lightning.app.cli import command


@command("dashboard")
def main(config: DictConfig) -> None:
    """Build the workspace and the report of a group of runs, and save them."""
    from cage_lightning.commands.dashboard import dashboard

    dashboard(config)


if __name__ == "__main__":
    main()
