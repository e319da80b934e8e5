#!/bin/sh
# How fast this GPU trains the paper's networks: the switches of a step, the published step in float16 among them;
# what a step could reach and where its time goes; and five measurements of whole trainings, of which three compile
# the network. Then the tables of this folder are written anew. Each training is measured for SECONDS_EACH=45. Further
# arguments go to these, for example data=affectnet8 data.root=DIR instead of drawn faces; SWITCHED names the networks
# of the single steps. Meant for less than ten minutes; it has not run on a GPU yet.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
measured=$(mktemp -d)
trap 'rm -r "$measured"' EXIT
measure() {
    "$python" -m cage_lightning.benchmark data=demo8 runs="$measured" seconds="${SECONDS_EACH:-45}" "$@"
}
"$python" -m benchmarks.switches ${SWITCHED:-maxvit_t efficientnet_v2_s swin_v2_t}
"$python" -m benchmarks.limits ${SWITCHED:-maxvit_t efficientnet_v2_s swin_v2_t}
measure model=maxvit "$@"
measure model=maxvit compile=default "$@"
measure model=efficientnet_v2_s compile=default "$@"
measure model=swin compile=default "$@"
measure model=tiny "$@"
"$python" benchmarks/machines.py "$measured"/.rates/*.json
