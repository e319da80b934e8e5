"""A run folder and what surrounds it: its identity, its name, waiting for it, SLURM, W&B agents."""
