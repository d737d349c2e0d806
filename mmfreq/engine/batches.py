"""Batches of training data that depend only on the seed and their place in the run."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from mmengine.dist import get_rank
from torch.utils.data import DataLoader, Sampler

from mmfreq.engine.randomness import seeded

__all__ = ['PlacedBatchSampler', 'with_placed_batches']


class _Batch(list):
    """Indices of a batch, with the numbers that seed its random augmentation."""

    entropy: tuple[int, ...]


class PlacedBatchSampler(Sampler):
    """A batch sampler that can begin in the middle and knows where each batch stands.

    Skipped batches cost indices only, no data is loaded.

    Args:
        batch_sampler (Sampler): Yields lists of indices.
        seed (int): Seed of the run.
    """

    def __init__(self, batch_sampler: Sampler, seed: int) -> None:
        self.batch_sampler = batch_sampler
        self.seed = seed
        self.epoch = 0
        self.begin = 0

    @property
    def sampler(self) -> Any:
        """Sampler of the indices, which MMEngine's ``DistSamplerSeedHook`` tells the epoch."""
        return self.batch_sampler.sampler  # type: ignore[attr-defined]

    @property
    def batch_size(self) -> int:
        """Number of samples in a batch."""
        return self.batch_sampler.batch_size  # type: ignore[attr-defined]

    def start(self, epoch: int, begin: int) -> None:
        """Set where the next iteration begins.

        Args:
            epoch (int): Number of the pass through the data, from 0.
            begin (int): Number of the first batch in it, from 0.
        """
        self.epoch, self.begin = epoch, begin
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of one pass."""
        for place, indices in enumerate(islice(self.batch_sampler, self.begin, None), self.begin):
            batch = _Batch(indices)
            batch.entropy = (self.seed, get_rank(), self.epoch, place)
            yield batch

    def __len__(self) -> int:
        """Number of batches in a whole pass."""
        return len(self.batch_sampler)  # type: ignore[arg-type]


def with_placed_batches(loader: DataLoader, seed: int) -> DataLoader:
    """Data loader with the same data, whose batches depend only on the seed and their place.

    The random augmentation of a batch is drawn from generators that are seeded with the run's
    seed, the rank, the pass and the batch's number. So it is the same for any number of workers,
    and after a pause. PyTorch's workers draw from generators that run on from batch to batch and
    begin anew in a resumed run.

    Args:
        loader (DataLoader): Data loader over a data set with indices.
        seed (int): Seed of the run.

    Returns:
        DataLoader: One whose ``batch_sampler`` is a :class:`PlacedBatchSampler`.
    """
    # DataLoader hands whole batches of indices to this method if a data set has it.
    loader.dataset.__getitems__ = partial(  # type: ignore[attr-defined]
        _load, loader.dataset, getattr(loader.dataset, '__getitems__', None)
    )
    return DataLoader(
        loader.dataset,
        batch_sampler=PlacedBatchSampler(loader.batch_sampler, seed),  # type: ignore[arg-type]
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
        pin_memory_device=loader.pin_memory_device,
    )


def _load(dataset: Any, load_together: Any, batch: _Batch) -> list:
    with seeded(batch.entropy):
        return load_together(batch) if load_together else [dataset[index] for index in batch]
