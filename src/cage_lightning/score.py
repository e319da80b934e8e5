"""`python -m cage_lightning.score`: scores of prediction files, without a network."""

from __future__ import annotations

from omegaconf import DictConfig

from cage_lightning.app.cli import command


@command("score")
def main(config: DictConfig) -> None:
    """Score one file, compare two, or sum up several seeds."""
    from cage_lightning.commands.score import score

    score(config)


if __name__ == "__main__":
    main()
