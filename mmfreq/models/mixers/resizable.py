"""Parameters that are stored for one size of feature maps and used at any."""

from typing import ClassVar

from torch import Tensor, nn

from mmfreq.ops.resize import check_resize_mode

__all__ = ['Resizable']


class Resizable(nn.Module):
    """Base of modules with such a parameter.

    Args:
        size (tuple[int, int]): Size ``(h, w)`` of the maps that the parameter is stored for.
        resize_mode (str): See :func:`mmfreq.ops.resize_filter`. Defaults to ``'kernel'``.

    Attributes:
        released_mode (str): How a checkpoint of the original is fitted to another size when it is
            loaded.
        weight (nn.Parameter): The parameter.

    Raises:
        ValueError: If the mode is unknown.
    """

    released_mode: ClassVar[str] = 'interpolate'
    weight: nn.Parameter

    def __init__(self, size: tuple[int, int], resize_mode: str = 'kernel') -> None:
        super().__init__()
        check_resize_mode(resize_mode)
        self.size = size
        self.resize_mode = resize_mode

    def resize(
        self, weight: Tensor, old_size: tuple[int, int], new_size: tuple[int, int], mode: str
    ) -> Tensor:
        """Resize what a checkpoint stores.

        Args:
            weight (Tensor): The parameter in the checkpoint.
            old_size (tuple[int, int]): Size ``(h, w)`` of the maps that it is stored for there.
            new_size (tuple[int, int]): Size ``(H, W)`` of the maps that it is wanted for.
            mode (str): As ``resize_mode``.

        Returns:
            Tensor: The parameter for maps of the new size.

        Raises:
            ValueError: If ``weight`` does not have the shape that belongs to ``old_size``.
        """
        raise NotImplementedError

    def released_size(self, weight: Tensor) -> tuple[int, int]:
        """Size ``(h, w)`` that a parameter in a released checkpoint is stored for.

        Args:
            weight (Tensor): The parameter, already in this library's layout.

        Returns:
            tuple[int, int]: The size; zeros for a tensor that cannot be one.
        """
        raise NotImplementedError
