"""The largest batch that a device has the memory to train with."""

from __future__ import annotations

from collections.abc import Callable

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.memory import garbage_collection_cuda

from cage_lightning.data.module import ExpressionData
from cage_lightning.errors import ConfigError
from cage_lightning.modules import ExpressionModule
from cage_lightning.system.output import say
from cage_lightning.system.storage import out_of_memory

_MULTIPLE = 8
STEPS = 3
"""Of a trial: the first two allocate gradients and the states of the optimizer, and while the third
is computed all of that is there, and the batch that comes next."""


def check_device(device: str, compiled: bool) -> None:
    """Refuse to look for the largest batch where there is no limit to find, or only in hours.

    Args:
        device: ``cpu`` or ``cuda``.
        compiled: Whether the steps are.

    Raises:
        ConfigError: It says why.
    """
    if device == "cpu":
        raise ConfigError(
            "largest_batch=true: a CPU has no memory of its own, and a batch that is too large "
            "makes the machine slow before it fails; choose trainer=auto where there is a GPU"
        )
    if compiled:
        raise ConfigError(
            "largest_batch=true: each size that is tried would be compiled, for minutes; "
            "add compile=off"
        )


def largest_batch(
    trainer: Callable[[], Trainer], module: ExpressionModule, data: ExpressionData
) -> int:
    """Train for some steps with one size after another.

    The batches come from the loader and pass the augmentation, as they do in a training.

    Args:
        trainer: Makes a trainer that ends after `STEPS` steps.
        module: Is trained.
        data: Its batch size is left as it was.

    Returns:
        See `search`. Where its batch size fits, but more than there are samples, it is that.
    """

    def fits(size: int) -> bool:
        garbage_collection_cuda()  # what the error of the trial before has held
        data.batch_size = size
        try:
            trainer().fit(module, datamodule=data)
        except RuntimeError as error:
            if out_of_memory(error) is None:
                raise
            say(f"  batches of {size} do not fit")
            return False
        finally:
            module.zero_grad()
        say(f"  batches of {size} fit")
        return True

    before = data.batch_size
    try:
        found = search(fits, before, max(before, len(data.train)))
        if _too_close(found, len(data.train) + 1):
            say("  for larger ones there are too few samples to train on")
        return found
    finally:
        data.batch_size = before
        garbage_collection_cuda()


def search(fits: Callable[[int], bool], first: int, most: int) -> int:
    """The largest size that fits and is not above `most`, or a little less.

    Args:
        fits: Whether a size does; of two sizes the smaller one does if the larger one does.
        first: Where to begin: it doubles from there while it fits.
        most: Larger ones are not tried.

    Returns:
        `first`, doubled some times, or a multiple of 8: at most a sixteenth, or 8, below a size
        that does not fit or is above `most`. 0 where none was found.
    """
    good, bad = 0, first
    while bad <= most and fits(bad):
        good, bad = bad, 2 * bad
    bad = min(bad, most + 1)
    while not _too_close(good, bad):
        middle = max((good + bad) // 2, good + _MULTIPLE) // _MULTIPLE * _MULTIPLE
        if fits(middle):
            good = middle
        else:
            bad = middle
    return good


def _too_close(good: int, bad: int) -> bool:
    """Whether to try a size between the two is not worth the while."""
    return bad - good <= max(_MULTIPLE, good // 16)
