"""What `prepare` finds out about a release: faults, duplicates, leaks, and the data card."""
