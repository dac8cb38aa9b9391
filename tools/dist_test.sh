#!/usr/bin/env bash
# Test on several GPUs (or CPU processes) of one node, or of several:
#   tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of tools/test.py]
# NNODES, NODE_RANK, MASTER_ADDR, PORT and PYTHON as in dist_train.sh.
set -euo pipefail
[[ $# -ge 3 && $3 =~ ^[0-9]+$ ]] ||
    { echo "usage: $0 CONFIG CHECKPOINT PROCESSES [arguments of test.py]" >&2; exit 2; }
config=$1 checkpoint=$2 processes=$3
shift 3
python=${PYTHON:-python}
if [[ -z ${PORT:-} && ${NNODES:-1} == 1 ]]; then  # several trainings may run on one machine
    PORT=$("$python" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
fi
exec "$python" -m torch.distributed.run --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --nproc_per_node="$processes" --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
