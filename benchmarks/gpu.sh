#!/bin/sh
# How fast this GPU trains the paper's networks: five measurements of 60 seconds and their starts, of which
# three compile the network. Then the table of README.md is written anew. Further arguments go to each measurement, for
# example data=affectnet8 data.root=DIR instead of drawn faces; SECONDS_EACH is for how long each of them measures.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
measured=$(mktemp -d)
trap 'rm -r "$measured"' EXIT
measure() {
    "$python" -m cage_lightning.benchmark data=demo8 runs="$measured" seconds="${SECONDS_EACH:-60}" "$@"
}
measure model=maxvit "$@"
measure model=maxvit compile=default "$@"
measure model=efficientnet_v2_s compile=default "$@"
measure model=swin compile=default "$@"
measure model=tiny "$@"
"$python" benchmarks/machines.py "$measured"/.rates/*.json
