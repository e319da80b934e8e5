"""The command line, the schema of its configs, and the objects built from them."""
