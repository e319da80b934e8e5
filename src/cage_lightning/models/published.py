"""Recognition of state dicts in the layout of the published CAGE scripts.

Such a file is a bare ``name -> tensor`` mapping, which contains neither the name of the backbone
nor the label space. Both follow from the names of its tensors and the size of its last layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from cage_lightning.errors import CheckpointError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC, LabelSpace

Backbone = Literal["maxvit_t", "efficientnet_v2_s", "swin_v2_t"]
Mode = Literal["discrete", "combined", "va"]

# For each backbone: a tensor whose name and shape no other backbone of ours has, its shape, and the
# names that the last layer may have.
_SIGNATURES: dict[Backbone, tuple[str, tuple[int, ...], tuple[str, ...]]] = {
    "maxvit_t": (
        "stem.0.0.weight",
        (64, 3, 3, 3),
        ("classifier.5.weight", "classifier.6.weight"),
    ),
    "efficientnet_v2_s": ("features.0.0.weight", (24, 3, 3, 3), ("classifier.1.weight",)),
    "swin_v2_t": ("features.1.0.attn.logit_scale", (3, 1, 1), ("head.weight",)),
}

# By number of outputs: the categories, then valence and arousal (for EMOTIC also dominance).
_MODES: dict[int, tuple[Mode, LabelSpace | None]] = {
    2: ("va", None),
    7: ("discrete", AFFECTNET_7),
    8: ("discrete", AFFECTNET_8),
    9: ("combined", AFFECTNET_7),
    10: ("combined", AFFECTNET_8),
    29: ("combined", EMOTIC),
}


@dataclass(frozen=True)
class PublishedLayout:
    """The network that a published state dict belongs to.

    Attributes:
        backbone: The name for `build_network`.
        num_outputs: Width of the last layer.
        head_dropout: Whether the head has a dropout layer (only the MaxViT trained on valence and
            arousal has one); the file does not contain its probability.
        mode: What the outputs are: categories (``discrete``), affect (``va``), or both
            (``combined``).
        label_space: The label space of the outputs; None for ``va``, because the number of outputs
            does not depend on the categories of the data.
    """

    backbone: Backbone
    num_outputs: int
    head_dropout: bool
    mode: Mode
    label_space: LabelSpace | None

    def __str__(self) -> str:
        dropout = (
            " and a dropout head (model.head_dropout=PROBABILITY)" if self.head_dropout else ""
        )
        labels = f" on {self.label_space.name}" if self.label_space else ""
        return f"{self.backbone}, {self.mode}{labels}, {self.num_outputs} outputs{dropout}"


def recognise(state_dict: Mapping[str, Tensor]) -> PublishedLayout:
    """Recognise backbone, mode and label space of a state dict in the published layout.

    Args:
        state_dict: Tensors by name, without a prefix.

    Raises:
        CheckpointError: No published backbone has these tensors, or no published mode has this
            number of outputs.
    """
    for backbone, (key, shape, last_layers) in _SIGNATURES.items():
        last = next((name for name in last_layers if name in state_dict), None)
        if last is None or key not in state_dict or tuple(state_dict[key].shape) != shape:
            continue
        num_outputs = state_dict[last].shape[0]
        if num_outputs not in _MODES:
            raise CheckpointError(
                f"the weights are those of {backbone}, but {num_outputs} outputs fit no mode: "
                f"published heads have {', '.join(map(str, _MODES))}"
            )
        mode, label_space = _MODES[num_outputs]
        dropout = last == "classifier.6.weight"
        return PublishedLayout(backbone, num_outputs, dropout, mode, label_space)
    raise CheckpointError(
        "the weights are in no published layout "
        f"({', '.join(_SIGNATURES)}): name the model and the loss they belong to"
    )
