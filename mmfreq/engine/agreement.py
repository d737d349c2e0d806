"""Small questions that all processes of a run answer together."""

import torch
from torch import distributed

__all__ = ['Agreement']


class Agreement:
    """Lets all processes of a run come to the same decision.

    Answers travel over CPUs (gloo), so that asking in each step does not wait for a GPU. All
    processes must create it, and ask it, at the same place of the program. Without a process group
    the own answer decides.
    """

    def __init__(self) -> None:
        self.group = None
        self.distributed = distributed.is_available() and distributed.is_initialized()
        if self.distributed and distributed.get_backend() != 'gloo':
            self.group = distributed.new_group(backend='gloo')

    def any(self, answer: bool) -> bool:
        """Whether one process at least says yes."""
        return bool(self.largest(int(answer)))

    def largest(self, number: int) -> int:
        """Largest of the processes' numbers."""
        if not self.distributed:
            return number
        answer = torch.tensor(number)
        distributed.all_reduce(answer, distributed.ReduceOp.MAX, group=self.group)
        return int(answer)
