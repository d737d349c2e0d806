#!/usr/bin/env bash
# Installs Debian's Slurm and Munge, with which tests start a cluster on this machine; does nothing if they
# are there.
#
#   bash tools/setup/slurm.sh
set -euo pipefail

command -v srun >/dev/null && [ -x /usr/sbin/slurmctld ] && [ -x /usr/sbin/slurmd ] \
    && [ -x /usr/sbin/munged ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo 'slurm: install Slurm, for example with: sudo apt-get install munge slurmctld slurmd slurm-client' >&2
    exit 1
fi
echo '== slurm: installing munge, slurmctld, slurmd and slurm-client'
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    munge slurmctld slurmd slurm-client >/dev/null
