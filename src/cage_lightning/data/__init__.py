"""From a release on disk to batches.

Readers, pictures and subsets need no Lightning; `data.module` holds the LightningDataModules.
"""
