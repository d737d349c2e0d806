import argparse
import os
import re
from urllib.error import URLError

import numpy as np
import pytest
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


def test_download_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    calls = []

    def download(url, path, hash_prefix):
        calls.append((url, hash_prefix))
        torch.save({'weight': torch.ones(1)}, path)

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    for _ in range(2):
        assert 'weight' in read_checkpoint('https://example.org/x/gfnet-1a2b3c4d.pth?download=1')
    assert calls == [('https://example.org/x/gfnet-1a2b3c4d.pth?download=1', '1a2b3c4d')]


def test_names_of_torchvision(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    calls = []

    def download(url, path, hash_prefix):
        calls.append(url)
        torch.save({'conv1.weight': torch.ones(1)}, path)

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    assert 'conv1.weight' in read_checkpoint('torchvision://resnet50')
    assert len(calls) == 1 and re.search(r'/resnet50-[0-9a-f]{8}\.pth$', calls[0])
    with pytest.raises(ValueError, match="no weights named 'resnet51'"):
        read_checkpoint('torchvision://resnet51')


def test_failed_downloads_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))

    def download(url, path, hash_prefix):
        raise URLError('Name or service not known')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    with pytest.raises(
        ConnectionError, match=r'cannot download https://example.org/a.pth: .*known'
    ):
        read_checkpoint('https://example.org/a.pth')
