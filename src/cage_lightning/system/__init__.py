"""Files, disks, standard output, processes and CPUs: what a program needs of its machine.

Nothing here knows of expressions, runs, Lightning or Hydra.
"""
