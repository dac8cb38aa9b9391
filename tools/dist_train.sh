#!/usr/bin/env bash
# Train on several GPUs (or CPU processes) of one node, or of several:
#   tools/dist_train.sh CONFIG PROCESSES [arguments of tools/train.py]
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=10.0.0.1 tools/dist_train.sh CONFIG 8   # and NODE_RANK=1 on the other
# PYTHON (default: python) and PORT (a free one; of several nodes 29500) can be set, too.
set -euo pipefail
[[ $# -ge 2 && $2 =~ ^[0-9]+$ ]] || { echo "usage: $0 CONFIG PROCESSES [arguments of train.py]" >&2; exit 2; }
config=$1 processes=$2
shift 2
python=${PYTHON:-python}
if [[ -z ${PORT:-} && ${NNODES:-1} == 1 ]]; then  # several trainings may run on one machine
    PORT=$("$python" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
fi
exec "$python" -m torch.distributed.run --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --nproc_per_node="$processes" --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
