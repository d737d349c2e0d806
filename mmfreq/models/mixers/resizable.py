"""Parameters that are stored for one size of feature maps and used at any."""

from typing import ClassVar

from torch import Tensor, nn

__all__ = ['Resizable']


class Resizable(nn.Module):
    """Base of modules with such a parameter.

    Args:
        size (tuple[int, int]): Size ``(h, w)`` of the maps that the parameter is stored for.
        resize_mode (str, optional): One of ``modes``. Defaults to None: ``correct_mode``.

    Attributes:
        modes (tuple[str, ...]): What ``resize_mode`` may be; checkpoints store its number.
        faithful_mode (str): That of released checkpoints.
        correct_mode (str): That of new networks.
        weight (nn.Parameter): The parameter.

    Raises:
        ValueError: If the mode is unknown.
    """

    modes: ClassVar[tuple[str, ...]]
    faithful_mode: ClassVar[str]
    correct_mode: ClassVar[str]
    weight: nn.Parameter

    def __init__(self, size: tuple[int, int], resize_mode: str | None = None) -> None:
        super().__init__()
        self.size = size
        self.resize_mode = self.correct_mode if resize_mode is None else resize_mode
        self.check_mode(self.resize_mode)

    @classmethod
    def check_mode(cls, mode: str) -> None:
        """Raise a ``ValueError`` that lists the choices if ``mode`` is not one of them."""
        if mode not in cls.modes:
            raise ValueError(f'resize_mode must be one of {cls.modes}, got {mode!r}')

    def resize(
        self, weight: Tensor, old_size: tuple[int, int], new_size: tuple[int, int], mode: str
    ) -> Tensor:
        """Resize what a checkpoint stores.

        Args:
            weight (Tensor): The parameter in the checkpoint.
            old_size (tuple[int, int]): Size ``(h, w)`` of the maps that it is stored for there.
            new_size (tuple[int, int]): Size ``(H, W)`` of the maps that it is wanted for.
            mode (str): One of ``modes``.

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
