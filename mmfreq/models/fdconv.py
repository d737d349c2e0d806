"""FDConv: Frequency Dynamic Convolution for Dense Image Prediction, arXiv 2503.18783."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfreq.models.layers import StarReLU
from mmfreq.ops import irfft2, rfft2
from mmfreq.ops.fft import compute_dtype
from mmfreq.ops.kernel_spectrum import (
    BAND_MASKS,
    frequency_groups,
    kernel_to_spectrum,
    low_pass_mask,
    spectrum_to_kernel,
)
from mmfreq.registry import MODELS

__all__ = ['FDConv']

# Options of the original that no released model sets to anything else.
FIXED_OPTIONS: dict[str, Any] = dict(
    att_multi=2.0,
    param_ratio=1,
    param_reduction=1.0,
    ksm_only_kernel_att=False,
    ksm_global_act='sigmoid',
    ksm_local_act='sigmoid',
    spatial_freq_decompose=False,
    convert_param=True,
    linear_mode=False,
)
FIXED_BAND_OPTIONS: dict[str, Any] = dict(
    lowfreq_att=False,
    fs_feat='feat',
    act='sigmoid',
    spatial='conv',
    spatial_group=1,
    spatial_kernel=3,
    init='zero',
)


@MODELS.register_module()
class FDConv(nn.Conv2d):
    """Convolution whose kernel is composed in the frequency domain, anew for every image.

    In place of a convolution, ``conv_cfg=dict(type='mmfreq.FDConv')``. Three parts:

    * *Fourier disjoint weight*: the spectrum of the weights in groups of coefficients by frequency;
      an attention over groups weighs them for each image.
    * *Kernel spatial modulation*: attentions over input channels, output channels and kernel
      positions, and one over all of these together, from the pooled input.
    * *Frequency band modulation* (3x3 kernels): three bands of the input, above 1/4, 1/8 and 1/16
      cycles per pixel, are each weighted by a map.

    All attentions start at one, whatever a network's initialiser does: a layer that takes over the
    weights of a convolution computes the same until it is trained. Any number of channels, an odd
    width, any number of groups and a single image in training are fine. Thin layers and other
    kernel sizes stay plain convolutions, as in the original
    (Linwei-Chen/FDConv, ``FDConv_detection/mmdet_custom/FDConv.py``), whose checkpoints and those
    with plain weights are taken by ``load_state_dict``; its config options are accepted, those that
    no released model uses with their usual value only.

    Args:
        in_channels (int): Number of input channels ``I``.
        out_channels (int): Number of output channels ``O``.
        kernel_size (int | tuple[int, int]): Side of the kernel.
        kernel_num (int): Number of groups of coefficients; released models have 64. Defaults to 4.
        use_fdconv_if_c_gt (int): Plain convolution unless both numbers of channels are larger.
            Defaults to 16.
        use_fdconv_if_k_in (Sequence[int]): Sides of kernels that are dynamic. Defaults to (1, 3).
        use_fbm_if_k_in (Sequence[int]): Sides of kernels with band modulation. Defaults to (3,).
        use_ksm_local (bool): Whether the attention over channels and positions together exists.
            Defaults to True.
        kernel_temp (float): Temperature of the attention over groups. Defaults to 1.
        temp (float, optional): Temperature of the other three global attentions. Defaults to None:
            that of ``kernel_temp``.
        fbm_cfg (dict, optional): ``k_list``, the factors of the band edges 1 / (2 * factor).
            Defaults to None: ``dict(k_list=(2, 4, 8))``.
        band_masks (str, optional): ``'exact'``, correct, or ``'nearest'``, faithful to the
            original, see :func:`mmfreq.ops.kernel_spectrum.low_pass_mask`. Defaults to None:
            ``'nearest'`` once a checkpoint of the original was loaded, ``'exact'`` otherwise.
            That choice is stored in the ``state_dict``; an explicit one always wins.
        **kwargs: ``stride``, ``padding``, ``dilation``, ``bias`` as in ``nn.Conv2d``, and options
            of the original.

    Raises:
        ValueError: If the convolution is grouped, or an option has an unsupported value.
    """

    group_map: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        *args: Any,
        kernel_num: int = 4,
        use_fdconv_if_c_gt: int = 16,
        use_fdconv_if_k_in: Sequence[int] = (1, 3),
        use_fbm_if_k_in: Sequence[int] = (3,),
        use_ksm_local: bool = True,
        kernel_temp: float = 1.0,
        temp: float | None = None,
        fbm_cfg: dict | None = None,
        band_masks: str | None = None,
        **kwargs: Any,
    ) -> None:
        bands = dict(fbm_cfg or {})
        factors = tuple(bands.pop('k_list', (2, 4, 8)))
        _refuse_unusual(kwargs, FIXED_OPTIONS)
        _refuse_unusual(bands, FIXED_BAND_OPTIONS)
        if bands:
            raise ValueError(f'fbm_cfg of FDConv has unknown options: {", ".join(bands)}')
        if band_masks is not None and band_masks not in BAND_MASKS:
            raise ValueError(f'band_masks must be one of {BAND_MASKS}, got {band_masks!r}')
        super().__init__(in_channels, out_channels, kernel_size, *args, **kwargs)  # type: ignore[arg-type]
        if self.groups != 1:
            raise ValueError(
                f'FDConv replaces dense convolutions only, got groups={self.groups}; '
                'keep grouped and depthwise convolutions plain'
            )
        side = self.kernel_size[0]
        self.is_dynamic = (
            min(in_channels, out_channels) > use_fdconv_if_c_gt
            and self.kernel_size == (side, side)
            and side in use_fdconv_if_k_in
        )
        if not self.is_dynamic:
            return
        if self.padding_mode != 'zeros':
            raise ValueError(f'FDConv pads with zeros only, got padding_mode={self.padding_mode!r}')
        size = (out_channels * side, in_channels * side)
        if not 1 <= kernel_num <= size[0] * (size[1] // 2 + 1):
            raise ValueError(
                f'kernel_num must be between 1 and the number of coefficients, got {kernel_num}'
            )
        self.kernel_shape = (out_channels, in_channels, side, side)
        self.spectrum = nn.Parameter(self.to_spectrum(self.weight.detach()))
        self.register_parameter('weight', None)
        groups = frequency_groups(size, kernel_num)
        self.register_buffer('group_map', groups.to(_index_dtype(kernel_num)))
        self.attention = GlobalAttention(self.kernel_shape, kernel_num, kernel_temp, temp)
        self.local_attention = LocalAttention(self.kernel_shape) if use_ksm_local else None
        self.bands = (
            BandModulation(in_channels, factors, band_masks) if side in use_fbm_if_k_in else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve features ``(B, I, H, W)``, each sample with a kernel of its own."""
        if not self.is_dynamic:
            return super().forward(x)
        kernels = self.kernels(x)
        if self.bands is not None:
            x = self.bands(x)
        batch = len(x)
        y = F.conv2d(
            x.reshape(1, -1, *x.shape[2:]),
            kernels.flatten(0, 1).to(x.dtype),
            None,
            self.stride,
            self.padding,
            self.dilation,
            groups=batch,
        )
        y = y.reshape(batch, self.out_channels, *y.shape[2:])
        return y if self.bias is None else y + self.bias.to(y.dtype)[:, None, None]

    def kernels(self, x: Tensor) -> Tensor:
        """Compose a kernel for every sample, in fp32 or better with autocast off.

        Args:
            x (Tensor): Features of shape ``(B, I, H, W)``.

        Returns:
            Tensor: Kernels of shape ``(B, O, I, k, k)``.
        """
        dtype = compute_dtype(x, self.spectrum)
        with torch.autocast(x.device.type, enabled=False):
            pooled = x.to(dtype).mean((2, 3))
            channels, filters, positions, groups = self.attention(pooled)
            gains = (groups * self._unit)[:, self.group_map.long()]
            spectrum = self.spectrum.to(dtype) * gains.unsqueeze(-1)
            kernels = spectrum_to_kernel(torch.view_as_complex(spectrum), self.kernel_shape)
            factor = filters[:, :, None] * channels[:, None]
            kernels = kernels * factor[..., None, None]
            if positions is not None:
                kernels = kernels * positions.reshape(-1, 1, 1, *self.kernel_size)
            if self.local_attention is not None:
                kernels = kernels * self.local_attention(pooled)
            return kernels

    def to_spectrum(self, weight: Tensor) -> Tensor:
        """The parameter ``spectrum``, real and imaginary parts, for weights ``(O, I, k, k)``."""
        return torch.view_as_real(kernel_to_spectrum(weight)) / self._unit

    def adapt_state_dict(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Rewrite plain weights, or tensors of the original FDConv, as those of this layer.

        Args:
            state_dict (dict[str, Any]): Tensors by name, changed in place.
            prefix (str): Name of this layer with a dot.

        Raises:
            ValueError: If a stored group map names groups that this layer does not have.
        """
        if not self.is_dynamic:
            return
        plain = state_dict.pop(f'{prefix}weight', None)
        if plain is not None:
            state_dict[f'{prefix}spectrum'] = self.to_spectrum(plain) if plain.ndim == 4 else plain
        original = state_dict.pop(f'{prefix}dft_weight', None)
        if original is not None:
            state_dict[f'{prefix}spectrum'] = original.flatten(0, 1)
            if self.bands is not None:
                state_dict[f'{prefix}bands.masks_id'] = torch.tensor(BAND_MASKS.index('nearest'))
        for old, new in _RENAMED.items():
            if f'{prefix}{old}' in state_dict:
                tensor = state_dict.pop(f'{prefix}{old}')
                is_pointwise = tensor.ndim == 4 and tensor.shape[2:] == (1, 1)
                state_dict[f'{prefix}{new}'] = tensor.flatten(1) if is_pointwise else tensor
        if self.bands is not None:
            self.bands.adapt_state_dict(state_dict, prefix)
        if f'{prefix}spectrum' in state_dict:
            groups = state_dict.setdefault(f'{prefix}group_map', self.group_map)
            kernel_num = len(self.attention.kernel.bias)
            if groups.numel() and not 0 <= int(groups.min()) <= int(groups.max()) < kernel_num:
                raise ValueError(f'{prefix}group_map names groups beyond kernel_num={kernel_num}')

    def modulation_parameters(self) -> list[nn.Parameter]:
        """Parameters of the attentions and the band modulation: all that a plain one has not."""
        return [p for name, p in self.named_parameters() if name.split('.')[0] in _MODULATION]

    @property
    def _unit(self) -> int:
        # The original stores the spectrum divided by this, which sets its learning rate.
        return min(self.in_channels, self.out_channels) // 2

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        self.adapt_state_dict(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)


class GlobalAttention(nn.Module):
    """Attentions over input channels, filters, kernel positions and groups of coefficients.

    Args:
        kernel_shape (tuple[int, int, int, int]): ``(O, I, k, k)``.
        kernel_num (int): Number of groups of coefficients.
        kernel_temp (float): Temperature of the attention over groups.
        temp (float, optional): That of the others; None for the same.
    """

    def __init__(
        self,
        kernel_shape: tuple[int, int, int, int],
        kernel_num: int,
        kernel_temp: float,
        temp: float | None,
    ) -> None:
        super().__init__()
        out_channels, in_channels, side, _ = kernel_shape
        hidden = max(in_channels // 16, 16)
        self.kernel_temp = kernel_temp
        self.temp = kernel_temp if temp is None else temp
        self.fc = nn.Linear(in_channels, hidden, bias=False)
        self.bn = nn.BatchNorm1d(hidden)
        self.act = StarReLU()
        self.channel = ZeroLinear(hidden, in_channels)
        self.filter = ZeroLinear(hidden, out_channels)
        self.spatial = ZeroLinear(hidden, side * side) if side > 1 else None
        self.kernel = ZeroLinear(hidden, kernel_num)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """Compute attentions, each between 0 and 2.

        Args:
            pooled (Tensor): Means of the input over positions, shape ``(B, I)``.

        Returns:
            tuple[Tensor]: Over input channels ``(B, I)``, filters ``(B, O)``, kernel positions
            ``(B, k * k)`` (None for 1x1) and groups ``(B, kernel_num)``.
        """
        x = self.fc(pooled.to(self.fc.weight.dtype))
        if self.bn.training and len(x) == 1:  # one value per channel has no variance
            bn = self.bn
            x = F.batch_norm(
                x, bn.running_mean, bn.running_var, bn.weight, bn.bias, training=False, eps=bn.eps
            )
        else:
            x = self.bn(x)
        x = self.act(x).to(pooled.dtype)
        channel, filter_, kernel = self.channel(x), self.filter(x), self.kernel(x)
        return (
            2 * torch.sigmoid(channel / self.temp),
            2 * torch.sigmoid(filter_ / self.temp),
            None if self.spatial is None else 2 * torch.sigmoid(self.spatial(x) / self.temp),
            2 * torch.sigmoid(kernel / self.kernel_temp),
        )


class LocalAttention(nn.Module):
    """Attention over all weights of a kernel, by a convolution along the input channels.

    Args:
        kernel_shape (tuple[int, int, int, int]): ``(O, I, k, k)``.
    """

    def __init__(self, kernel_shape: tuple[int, int, int, int]) -> None:
        super().__init__()
        out_channels, in_channels, side, _ = kernel_shape
        self.kernel_shape = kernel_shape
        # The width that efficient channel attention, arXiv 1910.03151, has for so many channels.
        width = round(math.log2(in_channels) / 2 + 0.5) // 2 * 2 + 1
        self.norm = nn.LayerNorm(in_channels)
        self.weight = nn.Parameter(torch.zeros(out_channels * side * side, 1, width))

    def forward(self, pooled: Tensor) -> Tensor:
        """Compute attentions ``(B, O, I, k, k)`` between 0 and 2 from ``(B, I)``."""
        weight = self.weight
        x = self.norm(pooled.to(self.norm.weight.dtype)).to(pooled.dtype).unsqueeze(1)
        logits = F.conv1d(x, weight.to(x.dtype), padding=weight.shape[-1] // 2)
        out_channels, _, height, width = self.kernel_shape
        logits = logits.unflatten(1, (out_channels, height, width))
        return 2 * torch.sigmoid(logits.movedim(-1, 2))


class BandModulation(nn.Module):
    """Frequency bands of the input, each weighted by a map between 0 and 2.

    Args:
        dim (int): Number of channels.
        factors (Sequence[int]): Band edges are 1 / (2 * factor) cycles per pixel, descending.
        masks (str, optional): See :class:`FDConv`.
    """

    masks_id: Tensor

    def __init__(self, dim: int, factors: Sequence[int], masks: str | None) -> None:
        super().__init__()
        self.factors = factors
        self.requested_masks = masks
        self.weight = nn.Parameter(torch.zeros(len(factors), dim, 3, 3))
        self.bias = nn.Parameter(torch.zeros(len(factors)))
        masks_id = torch.tensor(BAND_MASKS.index(masks or 'exact'), dtype=torch.uint8)
        self.register_buffer('masks_id', masks_id)
        self.masks = masks or 'exact'
        self.register_load_state_dict_post_hook(_follow_stored_masks)

    def forward(self, x: Tensor) -> Tensor:
        """Weight the bands of features ``(B, C, H, W)``; what is below all of them passes."""
        gains = 2 * torch.sigmoid(F.conv2d(x, self.weight, self.bias, padding=1))
        size = (x.shape[-2], x.shape[-1])
        spectrum = rfft2(x)
        y, upper = x, x
        for i, factor in enumerate(self.factors):
            mask = low_pass_mask(size, factor, self.masks, x.device)
            lower = irfft2(spectrum.masked_fill(~mask, 0), size, dtype=x.dtype)
            # Added to the input, so that gains of one change nothing, not even by rounding.
            y = y + (gains[:, i : i + 1] - 1) * (upper - lower)
            upper = lower
        return y.to(x.dtype)

    def adapt_state_dict(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Stack the original's convolutions, see :meth:`FDConv.adapt_state_dict`."""
        for part in ('weight', 'bias'):
            names = [
                f'{prefix}FBM.freq_weight_conv_list.{i}.{part}' for i in range(len(self.factors))
            ]
            if all(name in state_dict for name in names):
                stacked = torch.cat([state_dict.pop(name) for name in names])
                state_dict[f'{prefix}bands.{part}'] = stacked


class ZeroLinear(nn.Module):
    """Linear layer that starts at zero; not an ``nn.Linear``, which networks initialise.

    Args:
        in_dim (int): Number of input channels.
        dim (int): Number of output channels.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dim, in_dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_dim)`` to ``(B, dim)``."""
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


def _follow_stored_masks(bands: nn.Module, _incompatible_keys: object) -> None:
    assert isinstance(bands, BandModulation)
    stored = int(bands.masks_id)
    if not 0 <= stored < len(BAND_MASKS):
        raise ValueError(f'masks_id must be a number below {len(BAND_MASKS)}, got {stored}')
    bands.masks = bands.requested_masks or BAND_MASKS[stored]


def _index_dtype(count: int) -> torch.dtype:
    return torch.uint8 if count <= 256 else torch.int32


def _refuse_unusual(options: dict[str, Any], fixed: dict[str, Any]) -> None:
    """Remove options of the original that have their usual value; others are an error."""
    for name, usual in fixed.items():
        if name in options and options.pop(name) != usual:
            raise ValueError(f'FDConv supports {name}={usual!r} only, as in all released models')


_MODULATION = ('attention', 'local_attention', 'bands')
_RENAMED = {
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
