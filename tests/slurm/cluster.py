"""A Slurm cluster of two nodes on one machine, for as long as a test runs.

The daemons listen on loopback only and run as the caller: no systemd, no cgroups, nothing outside
of one folder.
"""

import os
import subprocess
import time
from pathlib import Path

NODES = 2
# Two partitions over the same nodes: jobs of `high` pre-empt those of `low`, which get USR1, twenty
# seconds, and their place in the queue. Port numbers follow from the first.
CONF = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
StateSaveLocation={folder}/state
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool.%n
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0
ReturnToService=2
SlurmdTimeout=60
KillWait=10
CompleteWait=0
JobRequeue=1
RequeueExit=85
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
"""


class Cluster:
    """A running cluster; use it as a context manager."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.environment = {'SLURM_CONF': str(folder / 'slurm.conf')}
        self.daemons: list[subprocess.Popen] = []

    def __enter__(self) -> 'Cluster':
        try:
            self._start_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start_all(self) -> None:
        os.environ.update(self.environment)
        user = subprocess.run(['id', '-un'], capture_output=True, text=True).stdout.strip()
        conf = CONF.format(folder=self.folder, user=user, port=self.port)
        for number in range(1, NODES + 1):
            conf += (
                f'NodeName=n{number} NodeHostname=localhost NodeAddr=127.0.0.1 '
                f'Port={self.port + number} CPUs=2 RealMemory=4000 State=UNKNOWN\n'
            )
            (self.folder / f'spool.n{number}').mkdir()
        for name, rest in (('low', 'Default=YES GraceTime=20'), ('high', 'PreemptMode=OFF')):
            tier = 1 if name == 'low' else 10
            conf += f'PartitionName={name} Nodes=ALL MaxTime=60 PriorityTier={tier} {rest}\n'
        (self.folder / 'slurm.conf').write_text(conf)
        (self.folder / 'state').mkdir(mode=0o700)
        key = self.folder / 'munge.key'
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        munge = [
            f'--{name}-file={self.folder}/munge.{name}' for name in ('key', 'pid', 'log', 'seed')
        ]
        self._start('munged', '--foreground', f'--socket={self.folder}/munge.socket', *munge)
        self._start('slurmctld', '-D')
        self._wait('scontrol ping', 'is UP')
        for number in range(1, NODES + 1):
            self._start('slurmd', '-D', '-N', f'n{number}')
        self._wait('sinfo -h -N -p low -t idle -o %N', 'n1\nn2')

    def __exit__(self, *_: object) -> None:
        subprocess.run(['scancel', '--user', str(os.getuid())], capture_output=True)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
        for name in self.environment:
            del os.environ[name]

    def _start(self, name: str, *arguments: str) -> None:
        log = (self.folder / f'{name}.{len(self.daemons)}.out').open('w')
        path = f'{os.environ["PATH"]}:/usr/sbin'
        self.daemons.append(
            subprocess.Popen(
                [name, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, 'PATH': path},
                start_new_session=True,
            )
        )

    def _wait(self, command: str, expected: str) -> None:
        for _ in range(150):
            answer = subprocess.run(command.split(), capture_output=True, text=True).stdout
            if expected in answer:
                return
            time.sleep(0.2)
        logs = [f'{path.name}: {path.read_text()[-1000:]}' for path in self.folder.glob('*.out')]
        raise RuntimeError(
            f'the cluster did not start: {command} says {answer!r}\n' + '\n'.join(logs)
        )
