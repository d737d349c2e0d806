#!/usr/bin/env bash
# Evaluate on a Slurm cluster.
#
#   bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
#
set -euo pipefail
run=$(dirname "$0")/slurm_run.sh

if [ $# -lt 4 ] || [ "$1" = --help ]; then
    sed -n '2,5s/^# \{0,1\}//p' "$0"
    sed -n '6,20s/^# \{0,1\}//p' "$run"
    [ "${1:-}" = --help ] && exit 0 || exit 2
fi
PARTITION=$1 JOB_NAME=$2 CONFIG=$3 CHECKPOINT=$4
shift 4
exec bash "$run" "$PARTITION" "$JOB_NAME" test.py "$CONFIG" "$CHECKPOINT" "$@"
