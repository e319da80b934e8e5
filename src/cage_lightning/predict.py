"""`python -m cage_lightning.predict`: the expressions of faces in pictures and videos."""

from __future__ import annotations

import sys

from omegaconf import DictConfig

from cage_lightning.app.cli import command

SOME_FAULTY = 3
"""The exit code where the result is complete and some files could not be read."""


@command("predict")
def main(config: DictConfig) -> None:
    """Look at pictures, videos, a camera or a stream with a trained model."""
    from cage_lightning.commands.predict import predict

    if predict(config).faults:
        sys.exit(SOME_FAULTY)


if __name__ == "__main__":
    main()
