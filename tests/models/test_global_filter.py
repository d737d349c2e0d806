import copy

import pytest
import torch

from mmfreq.models.mixers import GlobalFilter
from mmfreq.ops import resize_filter, spectral_filter2d
from mmfreq.ops.derived import MAX_VALUES

SIZE, OTHER = (6, 6), (9, 8)


def fresh(layer, x):
    """What the layer must return, without any cache."""
    weight = resize_filter(layer.weight.detach(), layer.size, x.shape[1:3], layer.resize_mode)
    return spectral_filter2d(x.permute(0, 3, 1, 2), weight).permute(0, 2, 3, 1)


@pytest.fixture
def layer():
    return GlobalFilter(4, SIZE).eval()


@pytest.fixture
def x(layer):
    x = torch.randn(2, *OTHER, 4)
    with torch.no_grad():
        layer(x)  # the filter for this size is in the cache now
    return x


def test_filters_every_channel(layer):
    x = torch.randn(2, *SIZE, 4)
    y = layer(x)
    expected = spectral_filter2d(x.permute(0, 3, 1, 2), layer.weight).permute(0, 2, 3, 1)
    torch.testing.assert_close(y, expected)


def test_a_size_is_resized_once(layer, x, monkeypatch):
    calls = []
    monkeypatch.setattr(
        'mmfreq.ops.resize.resize_filter',
        lambda *args: calls.append(args) or resize_filter(*args),
    )
    with torch.no_grad():
        layer(x)
        assert not calls
        for side in range(10, 10 + MAX_VALUES + 1):
            layer(torch.randn(1, side, side, 4))
        assert len(calls) == MAX_VALUES + 1
        layer(x)  # pushed out by the others
        assert len(calls) == MAX_VALUES + 2


def step(layer):
    optimizer = torch.optim.SGD(layer.parameters(), 1.0)
    layer.weight.grad = torch.ones_like(layer.weight)
    optimizer.step()


@pytest.mark.parametrize(
    'change',
    [
        step,
        lambda layer: layer.weight.data.mul_(2),
        lambda layer: layer.load_state_dict(GlobalFilter(4, SIZE).state_dict()),
        lambda layer: layer.double(),
        lambda layer: setattr(layer, 'weight', torch.nn.Parameter(layer.weight * 3)),
        lambda layer: setattr(layer, 'resize_mode', 'spectrum'),
    ],
    ids=['optimizer', 'data', 'load_state_dict', 'to', 'replaced', 'mode'],
)
def test_never_stale(layer, x, change):
    before = fresh(layer, x)
    change(layer)
    x = x.to(layer.weight.dtype)
    with torch.no_grad():
        y = layer(x)
    torch.testing.assert_close(y, fresh(layer, x))
    if change.__name__ == 'step' or layer.weight.dtype == torch.float32:
        assert not torch.allclose(y, before.to(y))


def test_never_stale_after_deepcopy(layer, x):
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other.weight.mul_(2)
        torch.testing.assert_close(other(x), fresh(other, x))
        torch.testing.assert_close(layer(x), fresh(layer, x))


def test_never_stale_after_training(layer, x):
    layer.train()
    y = layer(x)
    assert y.requires_grad
    y.sum().backward()
    assert layer.weight.grad is not None
    step(layer)
    layer.eval()
    with torch.no_grad():
        torch.testing.assert_close(layer(x), fresh(layer, x))


def test_gradients_flow_in_eval_mode_too(layer, x):
    layer(x).sum().backward()
    assert layer.weight.grad.abs().sum() > 0


def test_can_be_saved_whole(layer, x, tmp_path):
    torch.save(layer, tmp_path / 'layer.pth')
    loaded = torch.load(tmp_path / 'layer.pth', weights_only=False)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), layer(x))


def test_unknown_resize_mode():
    with pytest.raises(ValueError, match="got 'bicubic'"):
        GlobalFilter(4, SIZE, resize_mode='bicubic')
