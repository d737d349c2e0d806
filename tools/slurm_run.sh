#!/usr/bin/env bash
# Run a tool of this folder on a Slurm cluster; slurm_train.sh and slurm_test.sh call this.
#
#   bash tools/slurm_run.sh PARTITION JOB_NAME TOOL [arguments of the tool]
#
# GPUS           processes in all, one per GPU        (default 8)
# GPUS_PER_NODE  processes per node                   (default 8, or GPUS if that is less)
# CPUS_PER_TASK  CPU cores per process                (default 5)
# GRES           what to ask for on each node         (default gpu:$GPUS_PER_NODE; empty for CPUs)
# SRUN_ARGS      further options of srun
set -euo pipefail

if [ $# -lt 3 ] || [ "$1" = --help ]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    [ "${1:-}" = --help ] && exit 0 || exit 2
fi
PARTITION=$1 JOB_NAME=$2 TOOL=$3
shift 3
GPUS=${GPUS:-8}
GPUS_PER_NODE=${GPUS_PER_NODE:-$((GPUS < 8 ? GPUS : 8))}
GRES=${GRES-gpu:$GPUS_PER_NODE}
# shellcheck disable=SC2086  # SRUN_ARGS holds several words
exec srun --partition "$PARTITION" --job-name "$JOB_NAME" ${GRES:+--gres=$GRES} \
    --ntasks "$GPUS" --ntasks-per-node "$GPUS_PER_NODE" \
    --cpus-per-task "${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$(dirname "$0")/$TOOL" --launcher slurm "$@"
