"""From a split to category, valence and arousal, and from those to facial action units.

The constants were fitted to the aggregated label statistics of AffectNet, so the demo faces have
its skewed categories, its shapes in the valence-arousal plane and their overlap.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cage_lightning.affectnet_statistics import AFFECTNET_TRAINING
from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_8

CATEGORIES = len(AFFECTNET_8.categories)

SPLIT_IDS = {"train": 0, "val": 1}

TRAIN_COUNTS = np.array([row.samples for row in AFFECTNET_TRAINING.values()])
_TRAIN_CUMULATIVE = np.cumsum(TRAIN_COUNTS) / TRAIN_COUNTS.sum()
CATEGORY_MEANS = np.array([(row.valence, row.arousal) for row in AFFECTNET_TRAINING.values()])

# Three Gaussians per category: weight, mean V, mean A, sd V, sd A, correlation.
_MIXTURES = np.array(
    [
        [  # Neutral
            [0.5414, +0.0093, -0.0002, 0.0381, 0.0384, +0.226],
            [0.3257, -0.0374, -0.1334, 0.2230, 0.1807, +0.068],
            [0.1329, -0.3927, +0.1944, 0.0452, 0.0605, +0.411],
        ],
        [  # Happiness
            [0.5056, +0.7984, +0.0875, 0.0799, 0.1643, +0.124],
            [0.3967, +0.5172, +0.0760, 0.0668, 0.0864, -0.110],
            [0.0978, +0.5714, -0.0311, 0.1814, 0.3207, -0.043],
        ],
        [  # Sadness
            [0.4673, -0.6267, -0.2660, 0.1354, 0.0784, +0.574],
            [0.3409, -0.8268, -0.2658, 0.0798, 0.0992, -0.449],
            [0.1918, -0.3250, -0.2181, 0.1984, 0.2698, -0.641],
        ],
        [  # Surprise
            [0.6434, +0.2164, +0.6205, 0.1456, 0.1318, +0.386],
            [0.3394, +0.1279, +0.8332, 0.1776, 0.0650, -0.090],
            [0.0172, -0.0970, +0.4358, 0.4364, 0.2801, +0.128],
        ],
        [  # Fear
            [0.5713, -0.1468, +0.8015, 0.0567, 0.0591, -0.101],
            [0.4116, -0.0897, +0.7369, 0.0422, 0.1466, +0.153],
            [0.0171, -0.3090, +0.3006, 0.2978, 0.4482, -0.061],
        ],
        [  # Disgust
            [0.7875, -0.7455, +0.4561, 0.0794, 0.0580, +0.335],
            [0.1388, -0.4785, +0.3467, 0.2315, 0.1756, +0.463],
            [0.0738, -0.5414, +0.6883, 0.1066, 0.0443, -0.569],
        ],
        [  # Anger
            [0.3635, -0.2907, +0.5404, 0.1040, 0.1487, -0.724],
            [0.3258, -0.4585, +0.7765, 0.0712, 0.0627, +0.416],
            [0.3107, -0.6357, +0.3792, 0.1289, 0.1241, -0.479],
        ],
        [  # Contempt
            [0.6081, -0.6276, +0.6573, 0.0470, 0.0316, +0.000],
            [0.2651, -0.4020, +0.4488, 0.0819, 0.0901, -0.909],
            [0.1268, -0.2074, +0.5184, 0.2813, 0.1839, -0.093],
        ],
    ]
)
_WEIGHTS_CUMULATIVE = np.cumsum(_MIXTURES[..., 0], axis=1)
_WEIGHTS_CUMULATIVE /= _WEIGHTS_CUMULATIVE[:, -1:]  # the printed weights are rounded

# Radius in the valence-arousal plane at which an expression is weakest and strongest.
_RADIUS_WEAK = np.array([0.00, 0.42, 0.38, 0.45, 0.55, 0.50, 0.45, 0.45])
_RADIUS_STRONG = np.array([0.45, 0.95, 0.97, 0.92, 0.95, 0.97, 0.93, 0.95])

# One row per action unit, in the order of `ActionUnits`: the pattern of each category at full
# strength, then the gain per unit of valence and arousal away from the category's mean.
# fmt: off
_ACTION_UNITS = np.array([
    #  Neu   Hap    Sad    Sur    Fea    Dis    Ang    Con     V      A
    [0.00, +0.85, -0.70, +0.05, -0.35, -0.50, -0.55, -0.05, +0.55, +0.00],  # smile
    [0.00, +0.30, +0.05, +0.85, +0.55, +0.15, +0.20, +0.00, +0.05, +0.50],  # open
    [0.00, +0.35, -0.10, -0.45, +0.45, +0.10, +0.30, +0.00, +0.10, +0.05],  # width
    [0.00, +0.00, +0.00, +0.00, +0.00, +0.00, +0.00, +0.80, +0.00, +0.00],  # asym
    [0.00, +0.10, +0.00, +0.00, +0.00, +0.90, +0.20, +0.30, -0.05, +0.05],  # uplip
    [0.00, +0.00, +0.00, +0.00, +0.00, +0.90, +0.30, +0.10, -0.05, +0.05],  # wrinkle
    [0.00, +0.70, +0.00, +0.10, +0.50, +0.30, +0.60, +0.00, +0.10, +0.25],  # teeth
    [0.00, +0.05, +0.75, +0.80, +0.85, -0.55, -0.90, -0.15, +0.05, +0.10],  # brow_in
    [0.00, +0.05, -0.35, +0.80, +0.30, -0.30, +0.25, +0.35, +0.00, +0.20],  # brow_out
    [0.00, +0.00, +0.30, +0.00, +0.50, +0.60, +0.90, +0.10, -0.10, +0.05],  # squeeze
    [0.00, -0.20, -0.30, +0.80, +0.85, -0.45, +0.20, -0.20, +0.00, +0.55],  # eye
    [0.00, +0.80, +0.00, +0.00, +0.00, +0.50, +0.10, +0.20, +0.25, +0.05],  # cheek
    [0.00, +0.00, +0.60, +0.00, +0.00, +0.10, +0.00, +0.15, -0.05, -0.15],  # gaze_down
    [0.00, +0.00, -0.35, +0.10, +0.00, +0.00, +0.05, +0.25, +0.05, +0.10],  # pitch
    [0.00, +0.00, +0.45, +0.00, +0.00, +0.30, +0.00, +0.35, -0.05, -0.25],  # lid_droop
])
# fmt: on
_PATTERNS, _GAINS = _ACTION_UNITS[:, :CATEGORIES], _ACTION_UNITS[:, CATEGORIES:]
_ACTION_UNIT_SD = 0.07
_ACTION_UNIT_LIMIT = 1.1


class Label(NamedTuple):
    """One annotation: AffectNet category code, valence and arousal inside the unit disc."""

    category: int
    valence: float
    arousal: float


class ActionUnits(NamedTuple):
    """Intensities in [-1.1, 1.1]; 0 is the neutral face. FACS numbers beside each."""

    smile: float
    """Lip corners up, 12, or down, 15."""
    open: float
    """Lips part and jaw drops, 25 and 26."""
    width: float
    """Lips stretched, 20, or puckered, 18."""
    asym: float
    """One lip corner up, 14."""
    uplip: float
    """Upper lip raised, 10."""
    wrinkle: float
    """Nose wrinkled, 9."""
    teeth: float
    """Upper teeth shown."""
    brow_in: float
    """Inner brow up, 1, or down, 4."""
    brow_out: float
    """Outer brow up, 2."""
    squeeze: float
    """Brows drawn together, 4."""
    eye: float
    """Upper lid raised, 5, or lids tight, 7."""
    cheek: float
    """Cheeks raised, 6."""
    gaze_down: float
    pitch: float
    """Head up."""
    lid_droop: float
    """Lids drooping, 43."""


def sample_generator(seed: int, split: str, index: int) -> np.random.Generator:
    """The generator of one sample: the same whichever samples are drawn, where and in which order.

    Raises:
        ConfigError: `split` is neither "train" nor "val".
    """
    if split not in SPLIT_IDS:
        raise ConfigError(f"demo faces have no split {split!r}: use one of {list(SPLIT_IDS)}")
    return np.random.default_rng(np.random.SeedSequence([seed, SPLIT_IDS[split], index]))


def draw_category(rng: np.random.Generator, split: str, index: int) -> int:
    """Category of a sample: skewed as in AffectNet in "train"; "val" takes them in turn."""
    if split == "val":
        return index % CATEGORIES
    return int(np.searchsorted(_TRAIN_CUMULATIVE, rng.random(), side="right"))


def draw_affect(rng: np.random.Generator, category: int) -> tuple[float, float]:
    """Valence and arousal of a category: its Gaussian mixture, cut to the unit disc."""
    while True:
        component = np.searchsorted(_WEIGHTS_CUMULATIVE[category], rng.random(), side="right")
        _, mean_v, mean_a, sd_v, sd_a, rho = _MIXTURES[category, component].tolist()
        z_v, z_a = rng.standard_normal(2).tolist()
        valence = mean_v + sd_v * z_v
        arousal = mean_a + sd_a * (rho * z_v + math.sqrt(1 - rho**2) * z_a)
        if math.hypot(valence, arousal) <= 1:
            return valence, arousal


def draw_label(rng: np.random.Generator, split: str, index: int) -> Label:
    """Category, then valence and arousal given the category."""
    category = draw_category(rng, split, index)
    return Label(category, *draw_affect(rng, category))


def draw_action_units(rng: np.random.Generator, label: Label) -> ActionUnits:
    """The face that goes with a label.

    The category sets the pattern and the radius its strength; what valence and arousal differ from
    the category's mean moves the face further, so there is something to regress in each category.
    """
    category, affect = label.category, np.array([label.valence, label.arousal])
    weak, strong = _RADIUS_WEAK[category], _RADIUS_STRONG[category]
    strength = min(max((math.hypot(*affect) - weak) / (strong - weak), 0.0), 1.0)
    units = (0.45 + 0.55 * strength) * _PATTERNS[:, category]
    units += _GAINS @ (affect - CATEGORY_MEANS[category])
    units += rng.normal(0.0, _ACTION_UNIT_SD, len(units))
    return ActionUnits(*np.clip(units, -_ACTION_UNIT_LIMIT, _ACTION_UNIT_LIMIT).tolist())
