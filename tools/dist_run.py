"""torchrun for dist_train.sh and dist_test.sh, ending with the exit status of its processes.

It takes torchrun's arguments. SIGUSR1 and SIGTERM are handed on to the processes, which save their
state and leave with status 85 (mmfreq.preemption.REQUEUE); torchrun itself would answer 1. The
processes have 30 seconds for it.
"""

import os
import signal
import sys

from mmfreq.preemption import REQUEUE

if __name__ == '__main__':  # before the imports that take seconds
    signal.signal(signal.SIGTERM, lambda *_: os._exit(REQUEUE))
    # torchrun forwards SIGTERM; older ones know no other.
    signal.signal(signal.SIGUSR1, lambda *_: os.kill(os.getpid(), signal.SIGTERM))

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main


def run() -> None:
    """Run the command."""
    try:
        main()
    except SignalException as stop:
        sys.exit(REQUEUE if stop.sigval == signal.SIGTERM else 128 + stop.sigval)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        if failure.exitcode != REQUEUE:
            print(error, file=sys.stderr)
        sys.exit(failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode)


if __name__ == '__main__':
    run()
