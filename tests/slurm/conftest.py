import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
from cluster import Cluster


@pytest.fixture(scope='session')
def cluster():
    """A Slurm cluster of two nodes on this machine."""
    path = f'{os.environ["PATH"]}:/usr/sbin'
    needed = ('munged', 'slurmctld', 'slurmd', 'srun')
    missing = [name for name in needed if not shutil.which(name, path=path)]
    if missing:
        assert 'CI' not in os.environ, 'run tools/setup/slurm.sh'
        pytest.skip(f'there is no {", ".join(missing)}; see tools/setup/slurm.sh')
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        port = listener.getsockname()[1]
    # Munge insists on folders that only their owner can write.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with Cluster(Path(folder), min(port, 65000)) as running:
            yield running
