"""Files from strangers: nothing in them is executed, nothing outside of the run changes."""

import json
import pickle
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope, init_default_scope

from mmfreq.analysis.inputs import read_images
from mmfreq.engine.command_line import make_run_parser
from mmfreq.engine.pretrained import read_only_safe_checkpoints
from mmfreq.engine.run_configs import read_config
from mmfreq.utils import checkpoint as loader
from mmfreq.utils import read_checkpoint


class Touch:
    """Unpickling this creates a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, 'w')


def refused(path, match):
    with pytest.raises(ValueError, match=match) as error:
        read_checkpoint(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize('zipped', [True, False])
def test_pickle_that_touches_a_file(tmp_path, zipped, monkeypatch):
    path = tmp_path / 'a.pth'
    content = {'state_dict': {'weight': torch.ones(1)}, 'meta': Touch(tmp_path / 'touched')}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    refused(path, 'refused.*open.*--trust-checkpoint' if zipped else 'refused')
    assert not (tmp_path / 'touched').exists()
    monkeypatch.setattr(loader, '_trusted', True)  # --trust-checkpoint
    assert 'weight' in read_checkpoint(path)['state_dict']
    assert (tmp_path / 'touched').exists()


def test_bare_pickle(tmp_path):
    (tmp_path / 'a.pth').write_bytes(pickle.dumps(Touch(tmp_path / 'touched')))
    refused(tmp_path / 'a.pth', 'refused')
    assert not (tmp_path / 'touched').exists()


def test_config_text_in_a_checkpoint(tmp_path, monkeypatch):
    """MMEngine executes `config` of a checkpoint when it resumes."""
    from mmengine.runner.checkpoint import CheckpointLoader, _load_checkpoint

    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    text = f'open({str(tmp_path / "touched")!r}, "w")'
    meta = dict(epoch=0, iter=1, config=text, cfg=text)
    torch.save({'state_dict': {'weight': torch.ones(1)}, 'meta': meta}, tmp_path / 'a.pth')
    Config.fromstring(text, '.py')
    assert (tmp_path / 'touched').exists(), 'the text would be harmful'
    read_only_safe_checkpoints()
    assert _load_checkpoint(str(tmp_path / 'a.pth'))['meta'] == dict(epoch=0, iter=1)


@pytest.mark.parametrize('scheme', ['s3', 'petrel', 'pavi', 'ftp', 'file'])
def test_other_addresses_are_not_read(scheme, monkeypatch):
    from mmengine.runner.checkpoint import CheckpointLoader, _load_checkpoint

    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    read_only_safe_checkpoints()
    with pytest.raises(ValueError, match=f'no files are read from {scheme}://'):
        _load_checkpoint(f'{scheme}://bucket/a.pth')


def rewrite(path, change):
    """Write the entries of a zip file anew."""
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, 'w') as archive:
        change(archive, entries)


def test_compressed_bomb(tmp_path):
    torch.save({'weight': torch.zeros(1 << 22)}, tmp_path / 'a.pth')

    def compress(archive, entries):
        for name, content in entries:
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)

    rewrite(tmp_path / 'a.pth', compress)
    assert (tmp_path / 'a.pth').stat().st_size < 1 << 16
    refused(tmp_path / 'a.pth', 'compressed entries')


def test_entries_that_share_their_bytes(tmp_path):
    """Many names for the same bytes look much larger than the file."""
    torch.save({'weight': torch.zeros(1 << 16)}, tmp_path / 'a.pth')

    def share(archive, entries):
        for name, content in entries:
            archive.writestr(name, content)
        largest = max(archive.filelist, key=lambda entry: entry.file_size)
        for number in range(20):
            entry = zipfile.ZipInfo(f'archive/data/{number + 1}')
            for field in ('header_offset', 'CRC', 'compress_size', 'file_size'):
                setattr(entry, field, getattr(largest, field))
            archive.filelist.append(entry)

    rewrite(tmp_path / 'a.pth', share)
    refused(tmp_path / 'a.pth', 'claim to be larger')


def test_tensors_on_shared_bytes(tmp_path):
    torch.save({'weight': torch.zeros(1).expand(1 << 40)}, tmp_path / 'a.pth')
    refused(tmp_path / 'a.pth', 'share memory')
    whole = torch.zeros(1 << 10)
    torch.save({str(i): whole for i in range(1000)}, tmp_path / 'b.pth')
    refused(tmp_path / 'b.pth', 'share memory')
    nested = []
    for _ in range(100):
        nested = [nested, nested]
    torch.save(
        {'state_dict': {'tied': whole, 'again': whole}, 'nested': nested}, tmp_path / 'c.pth'
    )
    assert len(read_checkpoint(tmp_path / 'c.pth')['state_dict']) == 2


def test_sparse_tensors(tmp_path):
    sparse = torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.long), torch.ones(1), (1 << 40,))
    torch.save({'weight': sparse}, tmp_path / 'a.pth')
    refused(tmp_path / 'a.pth', 'layout')


class ForgedType:
    """A copy of a number type whose flags, from the file, would make numpy follow pointers."""

    def __init__(self, name, copy):
        self.name, self.copy = name, copy

    def __reduce__(self):
        state = (3, '<', None, None, None, -1, -1, 63)
        return np.dtype, (self.name, False, self.copy), state


def test_forged_number_types(tmp_path):
    torch.save({'weight': torch.ones(1), 'type': ForgedType('f8', True)}, tmp_path / 'a.pth')
    assert not read_checkpoint(tmp_path / 'a.pth')['type'].hasobject
    torch.save({'weight': torch.ones(1), 'type': ForgedType('O8', True)}, tmp_path / 'b.pth')
    refused(tmp_path / 'b.pth', 'refused')


def test_safetensors_header_that_lies(tmp_path):
    header = json.dumps({'a': dict(dtype='F32', shape=[1 << 40], data_offsets=[0, 4])}).encode()
    (tmp_path / 'a.safetensors').write_bytes(struct.pack('<Q', len(header)) + header + bytes(4))
    refused(tmp_path / 'a.safetensors', 'cannot be read')
    (tmp_path / 'b.safetensors').write_bytes(struct.pack('<Q', 1 << 60))
    refused(tmp_path / 'b.safetensors', 'cannot be read')


def png(width, height):
    """A PNG that says it has this size and holds almost nothing."""

    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + bytes(4)

    def with_checksum(kind, content):
        plain = chunk(kind, content)
        return plain[:-4] + struct.pack('>I', zlib.crc32(plain[4:-4]))

    size = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        with_checksum(kind, content)
        for kind, content in (
            (b'IHDR', size),
            (b'IDAT', zlib.compress(bytes(1 << 16))),
            (b'IEND', b''),
        )
    )


@pytest.fixture
def data(mini_data, tmp_path):
    yield Path(shutil.copytree(mini_data, tmp_path / 'data'))
    DefaultScope._instance_dict.clear()


def training_set(config, root):
    cfg = read_config(config, None, None, str(root))
    init_default_scope(cfg.default_scope)
    return DATASETS.build(cfg.train_dataloader.dataset)


@pytest.mark.parametrize('which', ['images', 'annotations'])
def test_image_bomb(data, which):
    root = data / 'ADEChallengeData2016'
    path = next((root / which / 'training').iterdir())
    path.write_bytes(png(60000, 60000))
    dataset = training_set('configs/fpn_gfnet_h_ti_ade20k.py', root)
    samples = [i for i in range(len(dataset)) if path.stem in dataset.get_data_info(i)['img_path']]
    with pytest.raises(ValueError, match=rf'{path.name}.*3600000000 pixels'):
        dataset[samples[0]]
    if which == 'images':
        with pytest.raises(ValueError, match=rf'{path.name} is refused.*3600000000 pixels'):
            read_images([str(path)], 64)


@pytest.mark.parametrize('name', ['../../../../../../etc/passwd', '/etc/passwd', '..', ''])
def test_annotation_that_leaves_the_data_root(data, name):
    path = data / 'coco/annotations/instances_train2017.json'
    content = json.loads(path.read_text())
    content['images'][0]['file_name'] = name
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'instances_train2017\.json.*is outside of .*train2017'):
        training_set('configs/retinanet_gfnet_h_ti_coco.py', data / 'coco')


def test_mask_of_another_size(data):
    path = data / 'coco/annotations/instances_train2017.json'
    content = json.loads(path.read_text())
    mask = dict(size=[1 << 20, 1 << 20], counts=[1 << 40])
    content['annotations'][0].update(segmentation=mask, iscrowd=1)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'instances_train2017\.json.*a mask of .* has the size'):
        training_set('configs/mask_rcnn_gfnet_h_ti_coco.py', data / 'coco')


def test_config_from_an_address():
    with pytest.raises(ValueError, match='a config is code, so it is read from a local file only'):
        read_config('https://example.org/config.py', None, None, None)


def test_the_only_way_past(monkeypatch):
    """--trust-checkpoint of every tool that reads a checkpoint."""
    monkeypatch.setattr(loader, '_trusted', False)
    parser = make_run_parser(None, '')
    parser.parse_args(['config.py'])
    assert not loader._trusted
    parser.parse_args(['config.py', '--trust-checkpoint'])
    assert loader._trusted
