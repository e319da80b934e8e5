"""One training run: its folder, name, identity and log, and how SLURM and a W&B agent start it."""
