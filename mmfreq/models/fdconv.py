"""FDConv: Frequency Dynamic Convolution for Dense Image Prediction, arXiv 2503.18783."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.utils import to_2tuple
from torch import Tensor, nn

from mmfreq.models.dynamic_kernel import DynamicKernel, check_choice
from mmfreq.models.modulation import BandModulation
from mmfreq.ops.bands import BAND_MASKS
from mmfreq.registry import MODELS

__all__ = ['FDConv']

# Options of the original that it ignores itself.
IGNORED_OPTIONS = ('use_fdconv_if_stride_in', 'att_grid', 'fs_feat', 'global_selection')
# Options of the original that no released model sets to anything else.
FIXED_OPTIONS: dict[str, Any] = dict(
    reduction=0.0625,
    use_fbm_for_stride=False,
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
    act='sigmoid',
    spatial='conv',
    spatial_group=1,
    spatial_kernel=3,
    init='zero',
)


@MODELS.register_module()
class FDConv(DynamicKernel):
    """Convolution whose kernel is composed in the frequency domain, anew for every image.

    Three parts:

    * *Fourier disjoint weight*: the spectrum of the weights in groups of coefficients by frequency;
      an attention over groups weighs them for each image.
    * *Kernel spatial modulation*: attentions over input channels, output channels and kernel
      positions, and one over all of these together, from the pooled input.
    * *Frequency band modulation* (3x3 kernels): three bands of the input, above 1/4, 1/8 and 1/16
      cycles per pixel, are each weighted by a map.

    All attentions start at one, whatever a network's initialiser does: a layer that takes over the
    weights of a convolution computes the same until it is trained. Any number of channels, an odd
    width, any number of groups and a single image in training are fine. ``load_state_dict`` takes
    plain weights and those of the original
    (Linwei-Chen/FDConv, ``FDConv_detection/mmdet_custom/FDConv.py``), whose config options are
    accepted, those that no released model uses with their usual value only.

    Networks build it by ``conv_cfg=dict(type='mmfreq.FDConv')``. Thin layers and kernels of other
    sizes stay plain, as in the original, and so do grouped ones: calling the class returns an
    ``nn.Conv2d`` then. Others are no ``nn.Conv2d`` and have no ``weight``, so that nothing treats
    them as one. MMCV's ``fuse_conv_bn`` leaves a layer and its norm alone, but takes the norm for
    that of an ``nn.Conv2d`` directly before it in the same module if that has none, as with every
    layer that it does not know.

    Args:
        in_channels (int): Number of input channels ``I``.
        out_channels (int): Number of output channels ``O``.
        kernel_size (int | tuple[int, ...]): Side of the kernel.
        stride (int | tuple[int, ...]): As in ``nn.Conv2d``, as are the next ones. Defaults to 1.
        padding (int | tuple[int, ...] | str): Defaults to 0.
        dilation (int | tuple[int, ...]): Defaults to 1.
        groups (int): Defaults to 1; others stay plain.
        bias (bool): Whether it has a bias, which starts at zero. Defaults to True.
        padding_mode (str): Defaults to ``'zeros'``.
        kernel_num (int, optional): Number of groups of coefficients; released models have 64. None
            for half of ``out_channels``, and its square root as ``kernel_temp``. Defaults to 4.
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
            original, see :func:`mmfreq.ops.bands.low_pass`. Defaults to None:
            ``'nearest'`` once a checkpoint of the original was loaded, ``'exact'`` otherwise.
            That choice is stored in the ``state_dict``; an explicit one always wins.
        group_order (str, optional): Order of coefficients that are cut into groups, ``'exact'``,
            correct, or ``'float32'``, faithful to the original, see
            :func:`mmfreq.ops.kernel_spectrum.frequency_groups`. Defaults to None: chosen and stored
            as ``band_masks`` is.
        **kwargs: Other options of the original.

    Raises:
        ValueError: If an option has an unsupported value.
    """

    extra_repr = nn.Conv2d.extra_repr

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """A plain convolution where there is nothing to compose, otherwise a new layer."""
        plain = _plain_conv(*args, **kwargs) if args or kwargs else None  # copies have no arguments
        return super().__new__(cls) if plain is None else plain

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = 'zeros',
        *,
        kernel_num: int | None = 4,
        use_fdconv_if_c_gt: int = 16,
        use_fdconv_if_k_in: Sequence[int] = (1, 3),
        use_fbm_if_k_in: Sequence[int] = (3,),
        use_ksm_local: bool = True,
        kernel_temp: float = 1.0,
        temp: float | None = None,
        fbm_cfg: dict | None = None,
        band_masks: str | None = None,
        group_order: str | None = None,
        **kwargs: Any,
    ) -> None:
        bands = dict(fbm_cfg or {})
        factors = tuple(bands.pop('k_list', (2, 4, 8)))
        _refuse_unusual(kwargs, FIXED_OPTIONS)
        _refuse_unusual(bands, FIXED_BAND_OPTIONS)
        for what, unknown in (('FDConv', kwargs), ('fbm_cfg of FDConv', bands)):
            if unknown:
                raise ValueError(f'{what} has unknown options: {", ".join(unknown)}')
        check_choice('band_masks', band_masks, BAND_MASKS)
        side, _ = to_2tuple(kernel_size)
        arguments = (in_channels, out_channels, side, stride, padding, dilation)
        conv = nn.Conv2d(*arguments, bias=False, padding_mode=padding_mode)  # type: ignore[arg-type]
        super().__init__(
            conv.weight.detach(),
            bias,
            kernel_num=kernel_num,
            use_ksm_local=use_ksm_local,
            kernel_temp=kernel_temp,
            temp=temp,
            group_order=group_order,
        )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.dilation = conv.kernel_size, conv.stride, conv.dilation
        self.padding, self.padding_mode = conv.padding, padding_mode
        self.edges = conv._reversed_padding_repeated_twice
        self.groups, self.transposed, self.output_padding = 1, False, (0, 0)
        self.bands = (
            BandModulation(in_channels, factors, band_masks) if side in use_fbm_if_k_in else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve features ``(B, I, H, W)``, each sample with a kernel of its own."""
        kernels = self.kernels(x)
        if self.bands is not None:
            x = self.bands(x)
        padding = self.padding
        if self.padding_mode != 'zeros':
            x, padding = F.pad(x, self.edges, self.padding_mode), (0, 0)
        batch = len(x)
        y = F.conv2d(
            x.reshape(1, -1, *x.shape[2:]),
            kernels.flatten(0, 1).to(x.dtype),
            None,
            self.stride,
            padding,
            self.dilation,
            groups=batch,
        )
        y = y.reshape(batch, self.out_channels, *y.shape[2:])
        return y if self.bias is None else y + self.bias.to(y.dtype)[:, None, None]

    def pool(self, x: Tensor) -> Tensor:
        """Means of features ``(B, I, H, W)`` over positions, shape ``(B, I)``."""
        return x.mean((2, 3))

    def adapt_state_dict(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Rewrite plain weights, or tensors of the original FDConv, as those of this layer.

        Args:
            state_dict (dict[str, Any]): Tensors by name, changed in place.
            prefix (str): Name of this layer with a dot.

        Raises:
            ValueError: If a stored group map names groups that this layer does not have.
        """
        is_original = self.is_original(state_dict, prefix)
        super().adapt_state_dict(state_dict, prefix)
        if self.bands is not None:
            if is_original:
                masks_id = torch.tensor(BAND_MASKS.index('nearest'))
                state_dict[f'{prefix}bands.masks_id'] = masks_id
            self.bands.adapt_state_dict(state_dict, prefix)


def _plain_conv(*args: Any, **kwargs: Any) -> nn.Conv2d | None:
    """What stays a plain convolution, see :class:`FDConv`; None for what does not."""
    bound = inspect.signature(FDConv.__init__).bind(None, *args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    height, width = to_2tuple(given['kernel_size'])
    is_dynamic = (
        given['groups'] == 1
        and min(given['in_channels'], given['out_channels']) > given['use_fdconv_if_c_gt']
        and height == width
        and height in given['use_fdconv_if_k_in']
    )
    if is_dynamic:
        return None
    return nn.Conv2d(**{name: given[name] for name in _OF_CONV2D})


_OF_CONV2D = (
    *('in_channels', 'out_channels', 'kernel_size', 'stride', 'padding', 'dilation', 'groups'),
    *('bias', 'padding_mode'),
)


def _refuse_unusual(options: dict[str, Any], fixed: dict[str, Any]) -> None:
    """Remove options of the original that have their usual value; others are an error."""
    for name in IGNORED_OPTIONS:
        options.pop(name, None)
    for name, usual in fixed.items():
        if name in options and options.pop(name) != usual:
            raise ValueError(f'FDConv supports {name}={usual!r} only, as in all released models')
