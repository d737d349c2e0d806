"""Heat conduction of vHeat, arXiv 2405.16555: each frequency of the features decays."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfreq.models.layers import SpectralModule
from mmfreq.models.mixers.recursive_gate import DepthwiseConv
from mmfreq.models.mixers.resizable import Resizable
from mmfreq.models.pointwise import Linear
from mmfreq.ops import dct2, idct2
from mmfreq.ops.derived import derived, forget
from mmfreq.ops.fft import compute_dtype
from mmfreq.ops.frequencies import resize_coefficients
from mmfreq.ops.matrices import constant
from mmfreq.ops.tracing import as_int, is_compiled_for_cpu, without_autocast

__all__ = ['FrequencyEmbedding', 'HeatConduction']


class FrequencyEmbedding(Resizable):
    """Learned vector of each coefficient of the cosine transform, resized to maps of any size.

    Args:
        dim (int): Number of channels ``C``.
        size (tuple[int, int]): Size ``(h, w)`` of the maps that it is stored for.

    Attributes:
        weight (nn.Parameter): Shape ``(h, w, C)``, drawn from a truncated normal distribution with
            a standard deviation of 0.02.
    """

    released_mode = 'spectrum'

    def __init__(self, dim: int, size: tuple[int, int]) -> None:
        super().__init__(size)
        self.weight = nn.Parameter(torch.zeros(*size, dim))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def vectors_for(self, size: tuple[int, int]) -> Tensor:
        """Vectors for maps of a size, shape ``(H, W, C)``."""
        return resize_coefficients(self.weight, size, self.resize_mode)

    def resize(
        self, weight: Tensor, old_size: tuple[int, int], new_size: tuple[int, int], mode: str
    ) -> Tensor:
        """Resize a stored embedding, see :func:`mmfreq.ops.frequencies.resize_coefficients`."""
        if weight.ndim != 3 or tuple(weight.shape[:2]) != tuple(old_size):
            raise ValueError(
                f'an embedding for maps of size {tuple(old_size)} must have the shape '
                f'({old_size[0]}, {old_size[1]}, C), got {tuple(weight.shape)}'
            )
        return resize_coefficients(weight, new_size, mode)

    def released_size(self, weight: Tensor) -> tuple[int, int]:
        """Size of the maps that a stored embedding belongs to."""
        return (weight.shape[0], weight.shape[1]) if weight.ndim == 3 else (0, 0)


class HeatConduction(SpectralModule):
    """``y = linear(norm(idct2(exp(-(w_n^2 + w_m^2) k) * dct2(a))) * silu(z))``.

    ``a`` and ``z`` are halves of a linear layer behind a depthwise 3x3 convolution; ``w_n = pi n /
    N`` is the frequency in radians per pixel. The time ``k`` of each frequency and channel is a
    linear layer with ReLU of an embedding of frequencies, which all blocks of a stage share. It
    does not depend on the image: in evaluation the decay is computed once for a size of maps.

    Args:
        dim (int): Number of channels ``C``.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = DepthwiseConv(dim, 3)
        self.linear = Linear(dim, 2 * dim)
        self.to_k = nn.Linear(dim, dim)
        self.out_norm = nn.LayerNorm(dim)
        self.out_linear = Linear(dim, dim)

    def forward(self, x: Tensor, embedding: FrequencyEmbedding) -> Tensor:
        """Map features ``(B, H, W, C)`` to features of the same shape.

        Args:
            x (Tensor): Features.
            embedding (FrequencyEmbedding): That of the stage.

        Returns:
            Tensor: Features of the shape of ``x``.
        """
        signal, gate = self.linear(self.dwconv(x)).chunk(2, -1)
        decay = self.decay(embedding, (as_int(x.shape[1]), as_int(x.shape[2])))
        spectrum = dct2(signal, self.backend) * decay
        y = self.out_norm(idct2(spectrum, x.dtype, self.backend))
        return self.out_linear(y * F.silu(gate))

    def decay(self, embedding: FrequencyEmbedding, size: tuple[int, int]) -> Tensor:
        """Factor of each frequency, between 0 and 1.

        Args:
            embedding (FrequencyEmbedding): That of the stage.
            size (tuple[int, int]): Size ``(H, W)`` of the maps.

        Returns:
            Tensor: Shape ``(H, W, C)``, float64 for float64, float32 else.
        """
        sources = (self.to_k.weight, self.to_k.bias, embedding.weight)
        learns = torch.is_grad_enabled() and any(source.requires_grad for source in sources)
        if not (self.training or learns):
            if is_compiled_for_cpu(embedding.weight):
                return _operator(*sources, size, embedding.resize_mode)
            if not torch.compiler.is_compiling():
                return _decay_once(*sources, size, embedding.resize_mode)
        return _decay(*sources, size, embedding.resize_mode)

    def train(self, mode: bool = True) -> 'HeatConduction':
        """Switch between training and evaluation; training holds no decays."""
        if mode:
            forget(self.to_k.weight)
        super().train(mode)
        return self


def _decay(
    weight: Tensor, bias: Tensor, embedding: Tensor, size: tuple[int, int], mode: str
) -> Tensor:
    vectors = resize_coefficients(embedding, size, mode)
    dtype = compute_dtype(vectors)
    with without_autocast(vectors.device):
        time = F.relu(F.linear(vectors.to(dtype), weight.to(dtype), bias.to(dtype)))
        return torch.exp(_squares(dtype, vectors.device, size) * -time)


def _decay_once(
    weight: Tensor, bias: Tensor, embedding: Tensor, size: tuple[int, int], mode: str
) -> Tensor:
    return derived(
        (weight, bias, embedding),
        ('decay', size, mode),
        lambda *sources: _decay(sources[0], sources[1], sources[2], size, mode),
    )


# Compiled for a CPU, an operator that the compiler does not look into: the decays are there once
# for a size, as in eager mode.
@torch.library.custom_op(
    'mmfreq::heat_decay',
    mutates_args=(),
    schema='(Tensor weight, Tensor bias, Tensor embedding, SymInt[] size, str mode) -> Tensor',
)
def _operator(
    weight: Tensor, bias: Tensor, embedding: Tensor, size: list[int], mode: str
) -> Tensor:
    height, width = size
    # A copy, because compiled graphs write into what they are given.
    return _decay_once(weight, bias, embedding, (height, width), mode).clone()


@_operator.register_fake
def _(weight: Tensor, bias: Tensor, embedding: Tensor, size: list[int], mode: str) -> Tensor:
    return embedding.new_empty(*size, weight.shape[0], dtype=compute_dtype(embedding))


@constant
def _squares(size: tuple[int, int]) -> np.ndarray:
    """``w_n^2 + w_m^2``, shape ``(H, W, 1)``."""
    rows, columns = (np.pi * np.arange(side) / side for side in size)
    return (rows[:, None, None] ** 2) + columns[:, None] ** 2
