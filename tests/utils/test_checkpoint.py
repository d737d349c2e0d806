import argparse
import hashlib
import os
import shutil
from urllib.error import URLError

import numpy as np
import pytest
import safetensors.torch
import torch
from mmengine.logging import HistoryBuffer

from mmfreq.utils import find_state_dict, read_checkpoint


class Attack:
    """Unpickling this would create a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_reads_what_released_and_mmengine_checkpoints_hold(tmp_path):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    content = dict(
        model={'weight': torch.ones(2)},
        args=argparse.Namespace(lr=0.1, name='gfnet'),
        message_hub=dict(log=history, scalar=np.float64(3.0), array=np.arange(3)),
    )
    torch.save(content, tmp_path / 'a.pth')
    loaded = read_checkpoint(tmp_path / 'a.pth')
    assert loaded['args'].name == 'gfnet'
    assert loaded['message_hub']['log'].mean() == 1.5
    assert loaded['message_hub']['scalar'] == 3.0
    assert find_state_dict(loaded, 'a.pth')['weight'].tolist() == [1, 1]


@pytest.mark.parametrize('zipped', [True, False])
def test_code_is_refused_and_named(tmp_path, zipped):
    content = {'model': {'weight': torch.ones(2)}, 'more': Attack(tmp_path / 'touched')}
    torch.save(content, tmp_path / 'a.pth', _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match='refused') as error:
        read_checkpoint(tmp_path / 'a.pth')
    assert 'a.pth' in str(error.value)
    if zipped:
        assert 'mkdir' in str(error.value)
    assert not (tmp_path / 'touched').exists()


def test_getattr_reaches_nothing_but_log_buffers(tmp_path):
    """MMEngine's log buffers are pickled with getattr, which must not reach other objects."""

    class Method:
        def __reduce__(self):
            return getattr, (argparse.Namespace, '__init__')

    torch.save({'weight': torch.ones(1), 'method': Method()}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='refused'):
        read_checkpoint(tmp_path / 'a.pth')


@pytest.mark.parametrize('kept', [0, 1, 100, 0.5, 0.99])
def test_truncated_files_are_named(tmp_path, kept):
    torch.save({'weight': torch.randn(100, 100)}, tmp_path / 'a.pth')
    data = (tmp_path / 'a.pth').read_bytes()
    size = int(kept * len(data)) if isinstance(kept, float) else kept
    (tmp_path / 'a.pth').write_bytes(data[:size])
    with pytest.raises(ValueError, match=r'a\.pth.*(truncated|damaged)'):
        read_checkpoint(tmp_path / 'a.pth')


@pytest.mark.parametrize('content', [b'not a checkpoint', b'{"a": 1}', b'\x80\x02}q\x00.'])
def test_other_files(tmp_path, content):
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(ValueError, match=r'a\.pth'):
        find_state_dict(read_checkpoint(tmp_path / 'a.pth'), tmp_path / 'a.pth')


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / 'b.pth', tmp_path):
        with pytest.raises(FileNotFoundError, match=str(path)):
            read_checkpoint(path)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_broken_numbers_are_named(value):
    with pytest.raises(ValueError, match=r'x\.pth has NaN or infinite values in b;'):
        find_state_dict({'a': torch.ones(2), 'b': torch.tensor([1, value])}, 'x.pth')
    with pytest.raises(ValueError, match=r'in head\.a;'):  # outside of the backbone, too
        find_state_dict({'backbone.a': torch.ones(2), 'head.a': torch.tensor([value])}, 'x.pth')


def test_only_the_backbone_of_a_whole_model_is_taken():
    state = {
        'backbone.a': torch.ones(1),
        'decode_head.a': torch.zeros(1),
        'backbone.b.c': torch.ones(2),
    }
    assert list(find_state_dict({'state_dict': state, 'meta': {}}, 'x.pth')) == ['a', 'b.c']


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Stands in for a download: the file's short hash, and the calls."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    torch.save({'conv1.weight': torch.ones(1)}, tmp_path / 'served')
    calls = []

    def download(url, path, hash_prefix):
        calls.append((url, hash_prefix))
        shutil.copy(tmp_path / 'served', path)

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    return hashlib.sha256((tmp_path / 'served').read_bytes()).hexdigest()[:8], calls


def test_download_is_kept(server):
    digest, calls = server
    for _ in range(2):
        url = f'https://example.org/x/gfnet-{digest}.pth?download=1'
        assert 'conv1.weight' in read_checkpoint(url)
    assert calls == [(url, digest)]


def test_names_of_torchvision(server, monkeypatch):
    digest, calls = server
    known = {'resnet50': f'https://example.org/resnet50-{digest}.pth'}
    monkeypatch.setattr('mmengine.runner.checkpoint.get_torchvision_models', lambda: known)
    assert 'conv1.weight' in read_checkpoint('torchvision://resnet50')
    assert calls == [(known['resnet50'], digest)]
    with pytest.raises(ValueError, match="no weights named 'resnet51'"):
        read_checkpoint('torchvision://resnet51')


@pytest.mark.parametrize('digits', [8, 64])
def test_a_hash_in_a_name_is_compared(tmp_path, digits):
    torch.save({'weight': torch.ones(1)}, tmp_path / 'a.pth')
    digest = hashlib.sha256((tmp_path / 'a.pth').read_bytes()).hexdigest()[:digits]
    right = shutil.copy(tmp_path / 'a.pth', tmp_path / f'a-{digest}.pth')
    assert 'weight' in read_checkpoint(right)
    wrong = shutil.copy(tmp_path / 'a.pth', tmp_path / f'a-{digest[::-1]}.pth')
    with pytest.raises(ValueError, match=f'a-{digest[::-1]}.pth is not .* begins with {digest}'):
        read_checkpoint(wrong)
    assert 'weight' in read_checkpoint(shutil.copy(tmp_path / 'a.pth', tmp_path / 'a-20220131.pth'))


def test_a_single_changed_byte_is_noticed(tmp_path):
    torch.save({'weight': torch.zeros(1000)}, tmp_path / 'a.pth')
    data = bytearray((tmp_path / 'a.pth').read_bytes())
    data[data.find(bytes(2000)) + 1000] = 1
    (tmp_path / 'a.pth').write_bytes(data)
    with pytest.raises(ValueError, match=r'a\.pth.*damaged: .*data/0 does not fit its checksum'):
        read_checkpoint(tmp_path / 'a.pth')


def test_safetensors(tmp_path):
    weights = {'weight': torch.randn(3, 2), 'count': torch.tensor(4)}
    safetensors.torch.save_file(weights, tmp_path / 'a.safetensors')
    loaded = find_state_dict(read_checkpoint(tmp_path / 'a.safetensors'), 'a.safetensors')
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
    (tmp_path / 'b.safetensors').write_bytes((tmp_path / 'a.safetensors').read_bytes()[:-1])
    with pytest.raises(ValueError, match=r'b\.safetensors cannot be read'):
        read_checkpoint(tmp_path / 'b.safetensors')


def test_failed_downloads_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))

    def download(url, path, hash_prefix):
        raise URLError('Name or service not known')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    with pytest.raises(
        ConnectionError, match=r'cannot download https://example.org/a.pth: .*known'
    ):
        read_checkpoint('https://example.org/a.pth')
