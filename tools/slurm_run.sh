#!/usr/bin/env bash
# Run a tool of this folder on a Slurm cluster; slurm_train.sh and slurm_test.sh call this.
#
#   bash tools/slurm_run.sh PARTITION JOB_NAME TOOL [arguments of the tool]
#
# Set in the environment:
#   GPUS           processes in all, one per GPU                  (default 8)
#   GPUS_PER_NODE  processes per node                             (default 8, or GPUS if less)
#   NODES          nodes                                          (default GPUS / GPUS_PER_NODE)
#   CPUS_PER_TASK  CPU cores per process                          (default 5)
#   GRES           what to ask for on each node                   (default gpu:$GPUS_PER_NODE;
#                  empty for processes on CPUs)
#   TIME           time limit, as in 1-12:00:00                   (default: the partition's)
#   REQUEUE        1: submit a batch job that saves and goes back to the queue when it is pre-empted
#                  or out of time, see slurm_job.sh; 0: run in the foreground   (default 0)
#   LOG            log of a batch job                             (default JOB_NAME-%j.log)
#   SRUN_ARGS      further options of srun, or of sbatch with REQUEUE=1
#   PYTHON         interpreter                                    (default python)
set -euo pipefail

if [ $# -lt 3 ] || [ "${1:-}" = --help ]; then
    sed -n '2,20s/^# \{0,1\}//p' "$0"
    [ "${1:-}" = --help ] && exit 0 || exit 2
fi
PARTITION=$1 JOB_NAME=$2 TOOL=$3
shift 3
GPUS=${GPUS:-8}
GPUS_PER_NODE=${GPUS_PER_NODE:-$((GPUS < 8 ? GPUS : 8))}
GRES=${GRES-gpu:$GPUS_PER_NODE}
tools=$(cd "$(dirname "$0")" && pwd)
options=(
    --partition="$PARTITION" --job-name="$JOB_NAME"
    --nodes="${NODES:-$(((GPUS + GPUS_PER_NODE - 1) / GPUS_PER_NODE))}"
    --ntasks="$GPUS" --ntasks-per-node="$GPUS_PER_NODE" --cpus-per-task="${CPUS_PER_TASK:-5}"
    ${GRES:+--gres="$GRES"} ${TIME:+--time="$TIME"}
)
command=("${PYTHON:-python}" -u "$tools/$TOOL" --launcher slurm "$@")
# shellcheck disable=SC2206  # SRUN_ARGS holds several words
options+=(${SRUN_ARGS:-})
if [ "${REQUEUE:-0}" = 1 ]; then
    LOG=${LOG:-$JOB_NAME-%j.log}
    mkdir -p "$(dirname "$LOG")"  # Slurm fails without a word if the folder is missing
    exec sbatch "${options[@]}" --output="$LOG" "$tools/slurm_job.sh" "${command[@]}"
fi
exec srun "${options[@]}" --kill-on-bad-exit=1 "${command[@]}"
