"""`python -m cage_lightning.train`: train one model, or a sweep of them with `-m`."""

from __future__ import annotations

from omegaconf import DictConfig

from cage_lightning.app.cli import command


@command("train")
def main(config: DictConfig) -> None:
    """Train, choose the epoch, and report on the test split."""
    from cage_lightning.commands.train import train

    train(config)


if __name__ == "__main__":
    main()
