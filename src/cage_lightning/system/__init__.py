"""Files, terminal, processes and machine; knows nothing of expressions."""
