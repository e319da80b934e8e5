"""`hydra/launcher=slurm`: every job of a sweep as a SLURM job of its own."""
