"""EMOTIC, from its own annotation file or from the common converter's CSV, as one table.

A sample is a person, not a picture: the part of the picture that the body box shows. Valence,
arousal and dominance are whole numbers from 1 to 10 and any number of 26 categories applies (Kosti
et al. 2019, "Context Based Emotion Recognition Using EMOTIC Dataset"). Train persons have one
annotator; of val and test persons the table holds what the release combined: the union of the
annotators' categories and their rounded mean affect.
"""

from cage_lightning.data.readers.emotic.reader import read_emotic
from cage_lightning.data.readers.emotic.sources import RELEASES

__all__ = ["RELEASES", "read_emotic"]
