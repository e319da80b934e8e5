"""From a release on disk to `Annotations`: one reader for each dataset."""
