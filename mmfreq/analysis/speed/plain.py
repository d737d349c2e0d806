"""The networks as their formulas are published, to compare speed and memory with.

Every layer that this library has made faster is replaced by the plain formula, as the original
implementations write it: transforms of channels-last features, complex products, one einsum per
term, layer norms and StarReLU by hand. Weights stay, and so do results up to rounding.

Their name in a benchmark is that of the backbone behind ``plain:``, as in ``plain:dfformer-s18``.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmfreq.models.backbones.affnet import AFFNet, ConvNorm
from mmfreq.models.backbones.base import StagedBackbone
from mmfreq.models.fdconv import FDConv
from mmfreq.models.layers import SpectralModule
from mmfreq.models.mixers import (
    AdaptiveFilter,
    DynamicFilter,
    FrequencyEmbedding,
    GlobalFilter,
    HeatConduction,
)
from mmfreq.models.mixers.adaptive_filter import NUM_BLOCKS, SPARSITY_THRESHOLD
from mmfreq.models.modulation import BandModulation
from mmfreq.models.pointwise import GELU, Linear, Mlp, StarReLU
from mmfreq.ops import resize_filter
from mmfreq.ops.matrices import cosines
from mmfreq.zoo import backbone_config, build_backbone, set_image_size

__all__ = ['build', 'global_filter', 'low_pass', 'make_plain']


def build(name: str, shape: tuple[int, int]) -> nn.Module:
    """Build a backbone with plain layers.

    Args:
        name (str): Name of a backbone, for example ``'dfformer-s18'``.
        shape (tuple[int, int]): Image size that filters are stored for.

    Returns:
        nn.Module: The backbone in evaluation mode.

    Raises:
        ValueError: If it has spectral layers without a plain form, or none at all.
    """
    settings = dict(backbone_config(name))
    set_image_size(settings, shape)
    network = build_backbone(settings)
    is_spectral = _has_spectral_layers(network)
    if not is_spectral or _has_spectral_layers(make_plain(network)):
        raise ValueError(
            f'there are no plain layers for {name}; plain: takes variants of GFNet, DFFormer, '
            'CDFFormer, GFFormer, HorNet, vHeat, AFFNet and FDResNet'
        )
    return network


def global_filter(x: Tensor, weight: Tensor) -> Tensor:
    """GFNet's filter, arXiv 2107.00645, equation 3.

    Args:
        x (Tensor): Features of shape ``(B, H, W, C)``.
        weight (Tensor): Filter of shape ``(H, W // 2 + 1, C, 2)``.

    Returns:
        Tensor: Filtered features, contiguous, as the linear layer behind it takes them.
    """
    z = torch.fft.rfft2(x, dim=(1, 2), norm='ortho')
    z = z * torch.view_as_complex(weight)
    return torch.fft.irfft2(z, s=x.shape[1:3], dim=(1, 2), norm='ortho').contiguous()


def low_pass(x: Tensor, factors: Sequence[int]) -> list[Tensor]:
    """FDConv's low-pass filters, arXiv 2503.18783: one transform, then a mask for each.

    Args:
        x (Tensor): Features of shape ``(B, C, H, W)``.
        factors (Sequence[int]): Limits are 1 / (2 * factor) cycles per pixel.

    Returns:
        list[Tensor]: Filtered features for each factor.
    """
    height, width = x.shape[2:]
    rows = torch.fft.fftfreq(height, device=x.device).abs()
    radius = torch.maximum(rows[:, None], torch.fft.rfftfreq(width, device=x.device))
    z = torch.fft.rfft2(x, norm='ortho')
    return [torch.fft.irfft2(z * (radius <= 0.5 / f), s=x.shape[2:], norm='ortho') for f in factors]


def make_plain(network: nn.Module) -> nn.Module:
    """Replace layers of a network, in place, by plain ones that share its parameters.

    Args:
        network (nn.Module): Of this library.

    Returns:
        nn.Module: The network.
    """
    for name, child in network.named_children():
        replacement = next((new for old, new in _PLAIN if isinstance(child, old)), make_plain)
        setattr(network, name, replacement(child))
        if isinstance(child, nn.LayerNorm) and child.bias is None:
            child.forward = partial(_layer_norm, child)
        elif isinstance(child, ConvNorm):  # the norm behind its convolution, in evaluation too
            child.forward = partial(ConvModule.forward, child)  # type: ignore[method-assign]
    if isinstance(network, AFFNet):  # features as the image comes, contiguous
        network.forward = partial(StagedBackbone.forward, network)  # type: ignore[method-assign]
    return network


class PlainStarReLU(nn.Module):
    """``scale * relu(x) ** 2 + bias``, step by step."""

    def __init__(self, act: StarReLU) -> None:
        super().__init__()
        self.scale, self.bias = act.scale, act.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * F.relu(x) ** 2 + self.bias


class PlainMlp(nn.Module):
    """Linear layer, activation, linear layer."""

    def __init__(self, mlp: Mlp) -> None:
        super().__init__()
        self.fc1, self.fc2 = _plain_linear(mlp.fc1), _plain_linear(mlp.fc2)
        self.act = _plain_activation(mlp.act)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class PlainGlobalFilter(nn.Module):
    """Static filters, stored and multiplied channels-last."""

    def __init__(self, mixer: GlobalFilter) -> None:
        super().__init__()
        self.weight = nn.Parameter(mixer.weight.detach().permute(1, 2, 0, 3).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return global_filter(x, self.weight)


class PlainDynamicFilter(nn.Module):
    """Filters per sample and channel, arXiv 2303.03932, equation 6."""

    def __init__(self, mixer: DynamicFilter) -> None:
        super().__init__()
        self.pwconv1, self.pwconv2 = _plain_linear(mixer.pwconv1), _plain_linear(mixer.pwconv2)
        self.act = _plain_activation(mixer.act)
        self.reweight = PlainMlp(mixer.reweight)
        self.size, self.resize_mode = mixer.filters.size, mixer.filters.resize_mode
        self.weight = nn.Parameter(mixer.filters.weight.detach().permute(1, 2, 0, 3).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, _ = x.shape
        num_filters = self.weight.shape[2]
        routes = self.reweight(x.mean((1, 2))).view(batch, num_filters, -1).softmax(1)
        x = self.act(self.pwconv1(x))
        z = torch.fft.rfft2(x, dim=(1, 2), norm='ortho')
        basis = torch.view_as_complex(self._basis((height, width)))
        weight = torch.einsum('bnc,hwn->bhwc', routes.to(basis.dtype), basis)
        x = torch.fft.irfft2(z * weight, s=(height, width), dim=(1, 2), norm='ortho')
        return self.pwconv2(x)

    def _basis(self, size: tuple[int, int]) -> Tensor:
        """Stored filters, or resized in every pass as the original does."""
        if size == self.size:
            return self.weight
        planes = self.weight.permute(2, 0, 1, 3)
        resized = resize_filter(planes, self.size, size, self.resize_mode)
        return resized.permute(1, 2, 0, 3).contiguous()


class PlainAdaptiveFilter(nn.Module):
    """AFFNet's mask with one einsum per term of the complex products, arXiv 2307.14008."""

    def __init__(self, mixer: AdaptiveFilter) -> None:
        super().__init__()
        self.w1, self.b1, self.w2, self.b2 = mixer.w1, mixer.b1, mixer.w2, mixer.b2
        self.act = mixer.act

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        spectrum = torch.fft.rfft2(x, dim=(2, 3), norm='ortho')
        blocks = spectrum.unflatten(1, (NUM_BLOCKS, -1))
        real, imag = _complex_linear(blocks.real, blocks.imag, self.w1, self.b1)
        real, imag = _complex_linear(self.act(real), self.act(imag), self.w2, self.b2)
        mask = F.softshrink(torch.stack([real, imag], dim=-1), SPARSITY_THRESHOLD)
        filtered = torch.view_as_complex(mask).flatten(1, 2) * spectrum
        filtered = torch.fft.irfft2(filtered, s=x.shape[2:], dim=(2, 3), norm='ortho')
        return (x + filtered).permute(0, 2, 3, 1)


class PlainHeatConduction(nn.Module):
    """vHeat's operator with its transforms as 1x1 convolutions of rows and columns, 2405.16555.

    The decay is computed in every pass, and the cosines once for a size.
    """

    def __init__(self, mixer: HeatConduction) -> None:
        super().__init__()
        self.dwconv, self.to_k = mixer.dwconv, mixer.to_k
        self.linear, self.out_linear = _plain_linear(mixer.linear), _plain_linear(mixer.out_linear)
        self.out_norm = mixer.out_norm
        self.tables: dict[int, Tensor] = {}

    def forward(self, x: Tensor, embedding: FrequencyEmbedding) -> Tensor:
        height, width = x.shape[1:3]
        rows, columns = self._cosines(height, x), self._cosines(width, x)
        x = F.conv2d(
            x.permute(0, 3, 1, 2).contiguous(),
            self.dwconv.weight,
            self.dwconv.bias,
            padding=1,
            groups=self.dwconv.groups,
        )
        x, gate = self.linear(x.permute(0, 2, 3, 1).contiguous()).chunk(2, -1)
        x = _along_rows_and_columns(x, rows, columns)
        steps = [torch.arange(side, device=x.device) * (math.pi / side) for side in (height, width)]
        decay = torch.exp(-(steps[0][:, None] ** 2 + steps[1] ** 2))
        time = F.relu(self.to_k(embedding.vectors_for((height, width))))
        x = torch.einsum('bnmc,nmc->bnmc', x, torch.pow(decay[..., None], time))
        x = _along_rows_and_columns(x, rows.T, columns.T)
        return self.out_linear(self.out_norm(x) * F.silu(gate))

    def _cosines(self, size: int, x: Tensor) -> Tensor:
        if size not in self.tables:
            self.tables[size] = torch.from_numpy(cosines(size)).to(x)
        return self.tables[size]


def _along_rows_and_columns(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    batch, height, width, channels = x.shape
    x = F.conv1d(x.contiguous().view(batch, height, -1), rows.contiguous()[..., None])
    x = F.conv1d(x.contiguous().view(-1, width, channels), columns.contiguous()[..., None])
    return x.contiguous().view(batch, height, width, channels)


class PlainFDConv(nn.Module):
    """Kernels with one pass over them for each factor, arXiv 2503.18783.

    The groups of coefficients are taken from the spectrum, weighed and put back.
    """

    order: Tensor

    def __init__(self, layer: FDConv) -> None:
        super().__init__()
        self.kernel_shape, self.kernel_num = layer.kernel_shape, layer.kernel_num
        self.spectrum, self.bias = layer.spectrum, layer.bias
        self.register_buffer('order', layer.group_map.flatten().argsort(stable=True))
        counts = layer.group_map.flatten().long().bincount(minlength=layer.kernel_num)
        self.counts = counts.tolist()
        self.unit = max(min(self.kernel_shape[:2]) // 2, 1)
        self.attention, self.local_attention = layer.attention, layer.local_attention
        self.bands = None if layer.bands is None else PlainBands(layer.bands)
        self.convolve = partial(
            F.conv2d, stride=layer.stride, padding=layer.padding, dilation=layer.dilation
        )

    def forward(self, x: Tensor) -> Tensor:
        out_channels, in_channels, side, _ = self.kernel_shape
        batch, rows, columns = len(x), out_channels * side, in_channels * side
        pooled = x.mean((2, 3))
        channels, filters, positions, groups = self.attention(pooled)
        parts = self.spectrum.flatten(0, 1)[self.order].split(self.counts)
        weighed = [
            part * self.unit * gains[:, None, None]
            for part, gains in zip(parts, groups.unbind(1), strict=True)
        ]
        spectra = x.new_zeros(batch, len(self.order), 2)
        spectra[:, self.order] = torch.cat(weighed, 1)
        z = torch.view_as_complex(spectra.unflatten(1, (rows, -1)))
        kernels = torch.fft.irfft2(z, s=(rows, columns))
        kernels = kernels.reshape(batch, out_channels, side, in_channels, side).transpose(2, 3)
        kernels = kernels * channels[:, None, :, None, None] * filters[:, :, None, None, None]
        if positions is not None:
            kernels = kernels * positions.view(batch, 1, 1, side, side)
        if self.local_attention is not None:
            weight = self.local_attention.weight
            normed = self.local_attention.norm(pooled).unsqueeze(1)
            local = F.conv1d(normed, weight, padding=weight.shape[-1] // 2).sigmoid() * 2
            local = local.view(batch, out_channels, side, side, in_channels)
            kernels = kernels * local.permute(0, 1, 4, 2, 3)
        if self.bands is not None:
            x = self.bands(x)
        y = self.convolve(x.flatten(0, 1)[None], kernels.flatten(0, 1), groups=batch)
        y = y.unflatten(1, (batch, out_channels))[0]
        return y if self.bias is None else y + self.bias[:, None, None]


class PlainBands(nn.Module):
    """Every band with a mask, an inverse transform and a convolution of its own."""

    def __init__(self, bands: BandModulation) -> None:
        super().__init__()
        self.weight, self.bias, self.factors = bands.weight, bands.bias, bands.factors

    def forward(self, x: Tensor) -> Tensor:
        rest, bands = x, x.new_zeros(())
        for low, weight, bias in zip(
            low_pass(x, self.factors), self.weight, self.bias, strict=True
        ):
            gain = 2 * F.conv2d(x, weight[None], bias[None], padding=1).sigmoid()
            bands, rest = bands + gain * (rest - low), low
        return bands + rest


def _has_spectral_layers(network: nn.Module) -> bool:
    return any(isinstance(module, SpectralModule) for module in network.modules())


def _complex_linear(
    real: Tensor, imag: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    def product(x: Tensor, w: Tensor) -> Tensor:
        return torch.einsum('bkihw,kio->bkohw', x, w)

    shift = bias[..., None, None]
    return (
        product(real, weight[0]) - product(imag, weight[1]) + shift[0],
        product(imag, weight[0]) + product(real, weight[1]) + shift[1],
    )


def _layer_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """The layer norm without bias of MetaFormer's baselines, step by step."""
    centred = x - x.mean(-1, keepdim=True)
    variance = centred.pow(2).mean(-1, keepdim=True)
    return centred / torch.sqrt(variance + norm.eps) * norm.weight


def _plain_linear(layer: Linear) -> nn.Linear:
    plain = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
    plain.weight, plain.bias = layer.weight, layer.bias
    return plain


def _plain_activation(act: nn.Module) -> nn.Module:
    if isinstance(act, GELU):
        return nn.GELU()
    return PlainStarReLU(act) if isinstance(act, StarReLU) else act


_PLAIN: tuple[tuple[type, Callable[..., nn.Module]], ...] = (
    (StarReLU, PlainStarReLU),
    (Mlp, PlainMlp),
    (GlobalFilter, PlainGlobalFilter),
    (DynamicFilter, PlainDynamicFilter),
    (AdaptiveFilter, PlainAdaptiveFilter),
    (HeatConduction, PlainHeatConduction),
    (FDConv, PlainFDConv),
    (Linear, _plain_linear),
)
