#!/usr/bin/env bash
# Batch job that survives pre-emption and time limits; slurm_train.sh submits it with REQUEUE=1.
#
# As a template for scripts of your own, with your partition and numbers:
#
#   sbatch --partition=P --nodes=2 --ntasks-per-node=8 --gres=gpu:8 --cpus-per-task=5 \
#       --time=1-00:00:00 --output=work_dirs/mine/slurm-%j.log tools/slurm_job.sh \
#       python -u tools/train.py configs/upernet_gfnet_h_s_ade20k.py \
#       --work-dir work_dirs/mine --launcher slurm --resume
#
# Two minutes before the time limit, or when a job with higher priority comes, Slurm sends USR1 to
# every process. They agree on it, save a checkpoint after the current step and end with status 85.
# This script then puts the job back into the queue, unless the cluster does it (RequeueExit=85).
# The same command runs again, and --resume goes on from the newest whole checkpoint. One log
# holds all of it.
#
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=USR1@120
set -uo pipefail

if [ $# -eq 0 ] || [ "$1" = --help ]; then
    sed -n '2,15s/^# \{0,1\}//p' "$0"
    [ "${1:-}" = --help ] && exit 0 || exit 2
fi

# Signals for the batch shell alone (--signal=B:USR1@120, scancel --batch) are handed on by srun.
signalled=
trap 'signalled=1; kill -USR1 "$step"' USR1
trap 'signalled=1; kill -TERM "$step"' TERM
srun --kill-on-bad-exit=1 ${SLURM_CPUS_PER_TASK:+--cpus-per-task="$SLURM_CPUS_PER_TASK"} "$@" &
step=$!
while :; do
    interrupted=$signalled signalled= status=0
    wait "$step" || status=$?
    [ -n "$signalled" ] || break
done

requeue=85
case $status in
    # A process that was signalled before Python could listen: nothing is lost, start again.
    138 | 143) [ -z "$interrupted" ] || status=$requeue ;;
esac
if [ "$status" = "$requeue" ] && ! scontrol show config | grep -q "^RequeueExit .*\b$requeue\b"; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
