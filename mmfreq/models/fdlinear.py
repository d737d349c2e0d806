"""FDConv's 1x1 case for linear layers, arXiv 2503.18783."""

import inspect
from typing import Any

from torch import Tensor, nn

from mmfreq.models.dynamic_kernel import DynamicKernel
from mmfreq.registry import MODELS

__all__ = ['FDLinear']


@MODELS.register_module()
class FDLinear(DynamicKernel):
    """Linear layer whose weights are composed in the frequency domain, anew for every sample.

    What :class:`FDConv` is for a 1x1 kernel: the same spectrum, groups and attentions, from the
    mean over tokens, and no band modulation. Any width, also odd ones. It computes what a linear
    layer does, whose ``weight`` and ``bias`` its ``load_state_dict`` takes, until it is trained.

    The first axis of the input must be that of the samples: every entry along it gets weights of
    its own. Thin layers stay plain: calling the class returns an ``nn.Linear`` then.

    Args:
        in_features (int): Number of input channels ``I``.
        out_features (int): Number of output channels ``O``.
        bias (bool): Whether it has a bias, which starts at zero. Defaults to True.
        kernel_num (int, optional): See :class:`FDConv`, as for the next ones. Defaults to 4.
        use_fdconv_if_c_gt (int): Plain unless both numbers of channels are larger. Defaults to 16.
        use_ksm_local (bool): Defaults to True.
        kernel_temp (float): Defaults to 1.
        temp (float, optional): Defaults to None.
        group_order (str, optional): Defaults to None.

    Raises:
        ValueError: If an option has an unsupported value.
    """

    extra_repr = nn.Linear.extra_repr

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """A plain linear layer where there is nothing to compose, otherwise a new layer."""
        if args or kwargs:  # copies have no arguments
            bound = inspect.signature(cls.__init__).bind(None, *args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            if min(given['in_features'], given['out_features']) <= given['use_fdconv_if_c_gt']:
                return nn.Linear(given['in_features'], given['out_features'], given['bias'])
        return super().__new__(cls)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        kernel_num: int | None = 4,
        use_fdconv_if_c_gt: int = 16,
        use_ksm_local: bool = True,
        kernel_temp: float = 1.0,
        temp: float | None = None,
        group_order: str | None = None,
    ) -> None:
        linear = nn.Linear(in_features, out_features, bias=False)
        super().__init__(
            linear.weight.detach()[..., None, None],
            bias,
            kernel_num=kernel_num,
            use_ksm_local=use_ksm_local,
            kernel_temp=kernel_temp,
            temp=temp,
            group_order=group_order,
        )
        self.in_features, self.out_features = in_features, out_features

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, ..., I)`` to ``(B, ..., O)``, each sample with weights of its own."""
        if x.ndim < 2:
            raise ValueError(
                f'FDLinear takes tokens (B, ..., {self.in_features}), the first axis of samples, '
                f'got {tuple(x.shape)}; add that axis'
            )
        tokens = x.reshape(len(x), -1, self.in_features)
        weights = self.kernels(tokens)[..., 0, 0].to(x.dtype)
        y = tokens @ weights.transpose(1, 2)
        if self.bias is not None:
            y = y + self.bias.to(y.dtype)
        return y.reshape(*x.shape[:-1], self.out_features)

    def pool(self, x: Tensor) -> Tensor:
        """Means of tokens ``(B, N, I)``, shape ``(B, I)``."""
        return x.mean(1)
