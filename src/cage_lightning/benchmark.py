"""`python -m cage_lightning.benchmark`: how fast this machine trains a model."""

from __future__ import annotations

from omegaconf import DictConfig

from cage_lightning.app.cli import command


@command("benchmark")
def main(config: DictConfig) -> None:
    """Measure the rates of a training."""
    from cage_lightning.commands.benchmark import benchmark

    benchmark(config)


if __name__ == "__main__":
    main()
