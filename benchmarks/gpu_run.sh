#!/bin/bash
# A prepared run on a GPU machine that has torch and transformers, and may have no internet.
#
#   benchmarks/gpu_run.sh prepare DATA          here: wheels for that machine, a training set, a vocabulary; under 60 MiB
#   benchmarks/gpu_run.sh run DATA OUT [SECONDS] there: utilisation of teacher-500m and xl-1.5b, then training as long as time is left
#
# OUT then holds at most 8 files of at most 16 MiB: results and the newest checkpoint. Run again with the same OUT, it goes on.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
wheels=(msgspec datasets dill xxhash multiprocess)
python=${PYTHON:-python3}

case "${1:-}" in
prepare)
    data=$2
    mkdir -p "$data/wheels"
    "$python" -m pip download --quiet --no-deps --only-binary=:all: --platform manylinux2014_x86_64 --python-version 3.12 \
        --constraint "$here/constraints.txt" --dest "$data/wheels" "${wheels[@]}"
    PYTHONPATH=$here:$here/benchmarks "$python" -m inputs.gpu_training prepare --data "$data"
    [ "$(du -sm "$data" | cut -f1)" -le 60 ] || { echo "error: $data is larger than 60 MiB: prepare fewer rows" >&2; exit 2; }
    ;;
run)
    data=$2 out=$3 seconds=${4:-480}
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    for name in "${wheels[@]}"; do
        "$python" -c "import $name" 2>/dev/null ||
            "$python" -m pip install --quiet --no-index --no-deps --find-links "$data/wheels" --target "$site" "$name"
    done
    PYTHONPATH=$site:$here:$here/benchmarks "$python" -m inputs.gpu_training run --data "$data" --out "$out" --seconds "$seconds"
    ;;
*)
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
