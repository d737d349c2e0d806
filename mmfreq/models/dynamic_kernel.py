"""Weights that FDConv composes in the frequency domain, for convolutions and linear layers."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmfreq.models.layers import SpectralModule
from mmfreq.models.modulation import GlobalAttention, LocalAttention
from mmfreq.ops.composition import Attentions, compose_kernels
from mmfreq.ops.fft import compute_dtype
from mmfreq.ops.kernel_spectrum import (
    GROUP_ORDERS,
    frequency_groups,
    kernel_to_spectrum,
    spectrum_to_kernel,
)
from mmfreq.ops.tracing import without_autocast

__all__ = ['DynamicKernel', 'check_choice']


class DynamicKernel(SpectralModule):
    """Base of layers whose weights are composed anew for every sample, see :class:`FDConv`.

    Args:
        weight (Tensor): Initial weights ``(O, I, k, k)``.
        bias (bool): Whether it has a bias, which starts at zero.
        kernel_num, use_ksm_local, kernel_temp, temp, group_order: See :class:`FDConv`.

    Raises:
        ValueError: If an option has an unsupported value.
    """

    spectrum: nn.Parameter
    group_map: Tensor
    bias: nn.Parameter | None

    def __init__(
        self,
        weight: Tensor,
        bias: bool,
        *,
        kernel_num: int | None,
        use_ksm_local: bool,
        kernel_temp: float,
        temp: float | None,
        group_order: str | None,
    ) -> None:
        check_choice('group_order', group_order, GROUP_ORDERS)
        out_channels, in_channels, side, _ = weight.shape
        if kernel_num is None:
            kernel_num = out_channels // 2
            kernel_temp = math.sqrt(kernel_num)
        coefficients = out_channels * side * (in_channels * side // 2 + 1)
        if not 1 <= kernel_num <= coefficients:
            raise ValueError(
                f'kernel_num must be between 1 and {coefficients}, the number of coefficients of '
                f'{out_channels} filters, got {kernel_num}'
            )
        super().__init__()
        self.kernel_shape = (out_channels, in_channels, side, side)
        self.spectrum = nn.Parameter(self.to_spectrum(weight))
        # Initialisers that set biases to zero look for nn.Conv2d and nn.Linear.
        self.register_parameter('bias', nn.Parameter(torch.zeros(out_channels)) if bias else None)
        self.kernel_num = kernel_num
        self.group_order = group_order
        self.register_buffer('group_map', self._groups(group_order or 'exact'))
        self.attention = GlobalAttention(self.kernel_shape, kernel_num, kernel_temp, temp)
        self.local_attention = LocalAttention(self.kernel_shape) if use_ksm_local else None

    def pool(self, x: Tensor) -> Tensor:
        """Means of the input over positions, shape ``(B, I)``, which all attentions see."""
        raise NotImplementedError

    def kernels(self, x: Tensor) -> Tensor:
        """Compose a kernel for every sample, in fp32 or better with autocast off.

        Args:
            x (Tensor): The input of the layer.

        Returns:
            Tensor: Kernels of shape ``(B, O, I, k, k)``.
        """
        dtype = compute_dtype(x, self.spectrum)
        with without_autocast(x.device):
            pooled = self.pool(x.to(dtype))
            channels, filters, positions, groups = self.attention(pooled)
            local = () if self.local_attention is None else self.local_attention(pooled)
            attentions = Attentions(groups * self._unit, channels, filters, positions, *local)
            return compose_kernels(
                self.spectrum, self.group_map, attentions, self.kernel_shape, self.backend
            )

    def to_spectrum(self, weight: Tensor) -> Tensor:
        """The parameter ``spectrum``, real and imaginary parts, for weights ``(O, I, k, k)``."""
        return kernel_to_spectrum(weight) / self._unit

    def to_weight(self) -> Tensor:
        """Weights ``(O, I, k, k)`` without any modulation: inverse of :meth:`to_spectrum`."""
        spectrum = self.spectrum.detach() * self._unit
        return spectrum_to_kernel(spectrum, self.kernel_shape, self.backend)

    @staticmethod
    def is_original(state_dict: dict[str, Any], prefix: str) -> bool:
        """Whether tensors under ``prefix`` are those of the authors' implementation."""
        return any(name.startswith((f'{prefix}dft_weight', f'{prefix}KSM_')) for name in state_dict)

    def adapt_state_dict(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Rewrite plain weights, or tensors of the original FDConv, as those of this layer.

        Args:
            state_dict (dict[str, Any]): Tensors by name, changed in place.
            prefix (str): Name of this layer with a dot.

        Raises:
            ValueError: If a stored group map names groups that this layer does not have.
        """
        is_original = self.is_original(state_dict, prefix)
        plain = state_dict.pop(f'{prefix}weight', None)
        if plain is not None:
            if plain.shape == self.kernel_shape[:2]:  # a linear layer is a 1x1 convolution
                plain = plain[..., None, None]
            state_dict[f'{prefix}spectrum'] = self.to_spectrum(plain) if plain.ndim == 4 else plain
        original = state_dict.pop(f'{prefix}dft_weight', None)
        if original is not None:
            state_dict[f'{prefix}spectrum'] = original.flatten(0, 1)
        for old, new in RENAMED.items():
            if f'{prefix}{old}' in state_dict:
                tensor = state_dict.pop(f'{prefix}{old}')
                is_pointwise = tensor.ndim == 4 and tensor.shape[2:] == (1, 1)
                state_dict[f'{prefix}{new}'] = tensor.flatten(1) if is_pointwise else tensor
        if f'{prefix}spectrum' in state_dict:
            self._adapt_groups(state_dict, f'{prefix}group_map', is_original)

    def modulation_parameters(self) -> list[nn.Parameter]:
        """Parameters of the attentions and the band modulation: all that a plain one has not."""
        return [p for name, p in self.named_parameters() if _is_modulation(name)]

    @property
    def _unit(self) -> int:
        # The original stores the spectrum divided by this, which sets its learning rate.
        return max(min(self.kernel_shape[:2]) // 2, 1)

    def __getattr__(self, name: str) -> Any:
        if name == 'weight':
            raise AttributeError(
                f'{type(self).__name__} composes a kernel for every image and has no weight; set '
                'conv_cfg=None, or leave it out of layers, where the weight of a layer is fused, '
                'normalised or re-parameterised'
            )
        return super().__getattr__(name)

    def _groups(self, order: str) -> Tensor:
        out_channels, in_channels, height, width = self.kernel_shape
        size = (out_channels * height, in_channels * width)
        dtype = torch.uint8 if self.kernel_num <= 256 else torch.int32
        return frequency_groups(size, self.kernel_num, order).to(dtype)

    def _adapt_groups(self, state_dict: dict[str, Any], name: str, is_original: bool) -> None:
        if self.group_order is not None:
            state_dict[name] = self.group_map
        elif name not in state_dict:
            state_dict[name] = self._groups('float32') if is_original else self.group_map
        groups = state_dict[name]
        if groups.numel() and not 0 <= int(groups.min()) <= int(groups.max()) < self.kernel_num:
            raise ValueError(f'{name} names groups beyond kernel_num={self.kernel_num}')

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        is_plain = f'{prefix}weight' in state_dict
        self.adapt_state_dict(state_dict, prefix)
        if is_plain:  # it lacks no modulation, so strict loading has nothing to complain about
            for name, tensor in self.state_dict().items():
                if _is_modulation(name):
                    state_dict.setdefault(f'{prefix}{name}', tensor)
        super()._load_from_state_dict(state_dict, prefix, *args)


def check_choice(name: str, choice: str | None, known: Sequence[str]) -> None:
    """Refuse an option that is neither None nor a known one.

    Args:
        name (str): Name of the option, for the message.
        choice (str, optional): What was given.
        known (Sequence[str]): What can be chosen.

    Raises:
        ValueError: If ``choice`` is unknown.
    """
    if choice is not None and choice not in known:
        raise ValueError(f'{name} must be one of {known}, got {choice!r}')


def _is_modulation(name: str) -> bool:
    return name.split('.')[0] in ('attention', 'local_attention', 'bands')


# Names of the authors' tensors, and ours.
RENAMED = {
    'KSM_Global.fc.weight': 'attention.fc.weight',
    'KSM_Global.relu.scale': 'attention.act.scale',
    'KSM_Global.relu.bias': 'attention.act.bias',
    'KSM_Local.conv.weight': 'local_attention.weight',
    'KSM_Local.norm.weight': 'local_attention.norm.weight',
    'KSM_Local.norm.bias': 'local_attention.norm.bias',
    **{
        f'KSM_Global.bn.{name}': f'attention.bn.{name}'
        for name in ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')
    },
    **{
        f'KSM_Global.{name}_fc.{part}': f'attention.{name}.{part}'
        for name in ('channel', 'filter', 'spatial', 'kernel')
        for part in ('weight', 'bias')
    },
}
