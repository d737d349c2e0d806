#!/usr/bin/env bash
# Train on a Slurm cluster.
#
#   bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of tools/train.py]
#
# With REQUEUE=1 the job goes on from its newest checkpoint after each interruption, and its log is
# WORK_DIR/slurm-<job id>.log.
set -euo pipefail
run=$(dirname "$0")/slurm_run.sh

if [ $# -lt 4 ] || [ "$1" = --help ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    sed -n '6,20s/^# \{0,1\}//p' "$run"
    [ "${1:-}" = --help ] && exit 0 || exit 2
fi
PARTITION=$1 JOB_NAME=$2 CONFIG=$3 WORK_DIR=$4
shift 4
[ "${REQUEUE:-0}" = 1 ] && set -- --resume "$@"
export LOG=${LOG:-$WORK_DIR/slurm-%j.log}
exec bash "$run" "$PARTITION" "$JOB_NAME" train.py "$CONFIG" --work-dir "$WORK_DIR" "$@"
