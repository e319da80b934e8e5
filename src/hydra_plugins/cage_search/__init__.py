"""`hydra/sweeper=optuna`: a search of settings whose trials are run folders."""
