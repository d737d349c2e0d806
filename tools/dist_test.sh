#!/usr/bin/env bash
# Evaluate on several GPUs (or CPU processes) with torchrun.
#
#   bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [options of tools/test.py]
#
# Several nodes: run it on each with NNODES, NODE_RANK and MASTER_ADDR set, as in
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=10.1.1.1 bash tools/dist_test.sh configs/upernet_gfnet_h_s_ade20k.py a.pth 8
# MASTER_PORT (default 29500) must be free; without a GPU the processes run on CPUs.
set -euo pipefail

if [ $# -lt 3 ] || [ "$1" = --help ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    [ "${1:-}" = --help ] && exit 0 || exit 2
fi
CONFIG=$1 CHECKPOINT=$2 PROCESSES=$3
shift 3
exec "${PYTHON:-python}" "$(dirname "$0")/dist_run.py" \
    --nnodes "${NNODES:-1}" \
    --node_rank "${NODE_RANK:-0}" \
    --nproc_per_node "$PROCESSES" \
    --master_addr "${MASTER_ADDR:-127.0.0.1}" \
    --master_port "${MASTER_PORT:-29500}" \
    "$(dirname "$0")/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "$@"
