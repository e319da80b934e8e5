"""Backbones with the heads of the paper, and weights in and out of them.

Networks map float32 ``[B, 3, H, W]``, normalised, to ``[B, num_outputs]``. What the columns mean is
the business of the mode.
"""

from cage_lightning.models.backbones import build_network
from cage_lightning.models.published import PublishedLayout, recognise
from cage_lightning.models.weights import LoadReport, load_weights, read_state_dict

__all__ = [
    "LoadReport",
    "PublishedLayout",
    "build_network",
    "load_weights",
    "read_state_dict",
    "recognise",
]
