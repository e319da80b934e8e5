#!/bin/sh
# How fast this GPU trains the paper's networks: the switches of a step, the published step in float16 among them;
# what a step could reach and where its time goes; and whole trainings of MaxViT, as it is and compiled. Then the tables
# of this folder are written anew. Each training is measured for SECONDS_EACH=45. Further arguments go to these, for
# example data=affectnet8 data.root=DIR instead of drawn faces; SWITCHED names the networks of the single steps. The
# networks are compiled beside each other first, which took 187 s on 14 CPUs. Meant for about ten minutes: all but the
# last two parts has run on an H200, with other arguments, and never the whole.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
networks=${SWITCHED:-maxvit_t efficientnet_v2_s swin_v2_t}
measured=$(mktemp -d)
trap 'rm -r "$measured"' EXIT
slow=compile=max-autotune
measure() {
    "$python" -m cage_lightning.benchmark data=demo8 runs="$measured" seconds="${SECONDS_EACH:-45}" "$@"
}
for network in $networks; do
    "$python" -m benchmarks.switches "$network" --steps 1 --without "$slow" >"$measured/$network" 2>&1 &
done
wait
"$python" -m benchmarks.switches $networks --steps 5 --without "$slow"
"$python" -m benchmarks.limits $networks
measure model=maxvit "$@"
measure model=maxvit compile=default data.num_workers=8 "$@"
"$python" benchmarks/machines.py "$measured"/.rates/*.json
