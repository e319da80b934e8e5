"""What each command does; the modules that a user types (`cage_lightning.train` ...) call these."""
