"""States of random generators: saved, restored, and set for a batch of data."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

__all__ = ['RandomState', 'get_random_state', 'preserved_randomness', 'seeded', 'set_random_state']

RandomState = dict[str, Any]


def get_random_state() -> RandomState:
    """States of the generators of python, numpy, torch and the current GPU.

    Returns:
        RandomState: Plain values and tensors, which ``torch.load(weights_only=True)`` reads.
    """
    numpy: dict[str, Any] = np.random.get_state(legacy=False)
    generator = numpy['state'] | {'key': torch.from_numpy(numpy['state']['key'].astype(np.int64))}
    state: RandomState = {
        'python': random.getstate(),
        'numpy': numpy | {'state': generator},
        'torch': torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: RandomState) -> None:
    """Restore what :func:`get_random_state` returned.

    Args:
        state (RandomState): States; a GPU's is left out where there is none.
    """
    random.setstate(state['python'])
    generator = state['numpy']['state']
    key = generator['key'].cpu().numpy().astype(np.uint32)
    np.random.set_state(state['numpy'] | {'state': generator | {'key': key}})
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def preserved_randomness() -> Iterator[None]:
    """Leave all generators as they were, whatever is drawn inside."""
    state = get_random_state()
    try:
        yield
    finally:
        set_random_state(state)


@contextmanager
def seeded(entropy: Sequence[int]) -> Iterator[None]:
    """Draw from generators that depend on ``entropy`` alone, and leave them as they were.

    Generators of GPUs are not seeded: data are prepared on CPUs.

    Args:
        entropy (Sequence[int]): Numbers that are not negative, for example a seed and a position.
    """
    with preserved_randomness():
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)
        yield
