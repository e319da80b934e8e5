"""From a release on disk to batches.

Readers, pictures and subsets need no Lightning; `data.module` and `data.datasets`
hold the LightningDataModules.
"""
