"""What a model predicted, beside the truth: as a table in memory, and as a file."""
