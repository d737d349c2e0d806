"""Batch norm over the processes of a run without GPUs."""

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce

from mmfreq.registry import MODELS

__all__ = ['CPUSyncBN']


@MODELS.register_module()
class CPUSyncBN(nn.BatchNorm2d):
    """Batch norm with the statistics of all processes, on CPUs.

    ``torch.nn.SyncBatchNorm`` does this on GPUs and refuses to run elsewhere. In its place a run
    without GPUs can rehearse a training of several, see
    :func:`mmfreq.engine.launch.prepare_distributed`. Processes may have unequal numbers of pixels.
    Parameters, buffers and arguments are those of ``torch.nn.BatchNorm2d``.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise.

        Args:
            x (Tensor): Shape (batch, channels, height, width).

        Returns:
            Tensor: Same shape and dtype.
        """
        several = distributed.is_initialized() and distributed.get_world_size() > 1
        if not (self.training and several):
            return super().forward(x)
        axes, wide = (0, 2, 3), x.float() if x.dtype.itemsize < 4 else x
        pixels = wide.new_tensor([wide.numel() / wide.shape[1]])
        sums = all_reduce(torch.cat([wide.sum(axes), pixels]))
        count, mean = sums[-1], sums[:-1] / sums[-1]
        centred = wide - mean[:, None, None]
        variance = all_reduce(centred.square().sum(axes)) / count
        if self.track_running_stats:
            self._update(mean.detach(), variance.detach() * count / (count - 1))
        normed = centred * (variance + self.eps).rsqrt()[:, None, None]
        if self.affine:
            normed = normed * self.weight[:, None, None] + self.bias[:, None, None]
        return normed.to(x.dtype)

    @torch.no_grad()
    def _update(self, mean: Tensor, variance: Tensor) -> None:
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked += 1
        momentum = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)
