"""Backbones with the heads of the paper, and the loading of weights into them.

Networks map float32 pictures ``[B, 3, H, W]``, normalised, to outputs ``[B, num_outputs]``. The
modes (`cage_lightning.modules`) define the meaning of the columns.
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
