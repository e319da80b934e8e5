"""A callback that makes a tiny training last, without work for the processor."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch.callbacks import Callback


class Pace(Callback):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_train_batch_start(self, *arguments: Any) -> None:
        time.sleep(self.seconds)
