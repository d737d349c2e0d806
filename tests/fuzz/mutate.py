"""Damage checkpoints, label maps and annotation files at random, and load each of them.

Each is loaded, or refused with a message that names the file; anything else is a failure. It is a
process of its own, so that a crash of the interpreter is noticed; a hang is cut short.
"""

import argparse
import collections
import faulthandler
import json
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from mmengine.logging import HistoryBuffer
from mmengine.registry import DATASETS, DefaultScope, init_default_scope

from mmfreq.engine.command_line import make_parser
from mmfreq.engine.run_configs import read_config
from mmfreq.utils import find_state_dict, read_checkpoint

SECONDS = 20  # for one file
VALUES = [
    *(None, True, -1, 0, 2**31, 2**70, 1e308, float('nan'), '', 'x', '../../x', '\x00', [], {}),
    *([[]], [1, 2], {'size': [2**40, 2**40], 'counts': 'x'}, [[1, 2, 3]], ['x'] * 4, [-5.0] * 8),
]


def damage(content: bytes) -> bytes:
    """Change bytes: flip, overwrite, cut out, repeat, insert, truncate."""
    data = bytearray(content)
    for _ in range(random.choice([1, 1, 2, 8, 64])):
        if not data:
            break
        at, length = random.randrange(len(data)), random.choice([1, 2, 4, 16, 256])
        kind = random.randrange(6)
        if kind == 0:
            data[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            data[at : at + length] = random.choice([b'\xff', b'\x00', b'\x80']) * length
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = data[at : at + length] * random.choice([1, 10])
        elif kind == 4:
            data[at:at] = random.randbytes(length)
        elif random.random() < 0.2:
            del data[at:]
    return bytes(data)


def damage_json(content: Any) -> Any:
    """Put a strange value at a random place, or take something away."""
    content = json.loads(json.dumps(content))
    for _ in range(random.choice([1, 1, 2, 5])):
        node, parent, key = content, None, None
        while isinstance(node, (dict, list)) and node and (parent is None or random.random() < 0.8):
            parent = node
            key = (
                random.choice(list(node)) if isinstance(node, dict) else random.randrange(len(node))
            )
            node = parent[key]
        if parent is None:
            return random.choice(VALUES)
        if random.random() < 0.2:
            del parent[key]
        else:
            parent[key] = random.choice(VALUES)
    return content


class Checkpoints:
    """Zip files and older ones of torch, and safetensors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        weights = {'a.weight': torch.randn(4, 3), 'a.bias': torch.randn(3).half()}
        content = dict(
            state_dict=weights,
            optimizer=dict(state={0: dict(step=torch.tensor(1.0))}, param_groups=[dict(lr=0.1)]),
            meta=dict(iter=3, seed=1, args=argparse.Namespace(lr=0.1)),
            message_hub=dict(log=HistoryBuffer([1.0], [1]), value=np.float64(2)),
        )
        torch.save(content, folder / 'zip.pth')
        torch.save(content, folder / 'old.pth', _use_new_zipfile_serialization=False)
        safetensors.torch.save_file(weights, folder / 'new.safetensors')
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}

    def __call__(self) -> str:
        name = random.choice(list(self.files))
        path = self.folder / name
        path.write_bytes(damage(self.files[name]))
        find_state_dict(read_checkpoint(path), path)
        return name


class Samples:
    """A data set of which one file is damaged."""

    def __init__(self, folder: Path, config: str, damaged: str) -> None:
        self.cfg = read_config(config, None, None, str(folder))
        self.path = sorted(folder.glob(damaged))[0]
        self.content = self.path.read_bytes()
        self.is_json = self.path.suffix == '.json'

    def __call__(self) -> str:
        if self.is_json and random.random() < 0.8:
            self.path.write_text(json.dumps(damage_json(json.loads(self.content))))
        else:
            self.path.write_bytes(damage(self.content))
        init_default_scope(self.cfg.default_scope)
        dataset = DATASETS.build(self.cfg.train_dataloader.dataset)
        for index in range(min(2, len(dataset))):
            dataset[index]
        DefaultScope._instance_dict.clear()
        return self.path.name


def too_long(*_: object) -> None:
    raise TimeoutError(f'more than {SECONDS} s')


def main() -> None:
    """Run the command."""
    parser = make_parser(
        __doc__, '  python tests/fuzz/mutate.py MINI_DATA OUT --count 1000 --seed 0'
    )
    parser.add_argument('data', type=Path, help='folder of render_mini_data.py')
    parser.add_argument('out', type=Path, help='folder for the files, must not exist')
    parser.add_argument('--count', type=int, default=1000, help='files (default: 1000)')
    parser.add_argument('--seed', type=int, default=0, help='default: 0')
    args = parser.parse_args()
    faulthandler.enable()
    signal.signal(signal.SIGALRM, too_long)
    shutil.copytree(args.data, args.out / 'data')
    (args.out / 'checkpoints').mkdir()
    ade, coco = args.out / 'data/ADEChallengeData2016', args.out / 'data/coco'
    kinds: dict[str, Callable[[], str]] = {
        'checkpoint': Checkpoints(args.out / 'checkpoints'),
        'label map': Samples(
            ade, 'configs/fpn_gfnet_h_ti_ade20k.py', 'annotations/training/000001.png'
        ),
        'annotation file': Samples(
            coco, 'configs/mask_rcnn_gfnet_h_ti_coco.py', 'annotations/instances_train2017.json'
        ),
    }
    names = list(kinds)
    counts: collections.Counter = collections.Counter()
    wrong = []
    for number in range(args.count):
        random.seed(f'{args.seed} {number}')
        torch.manual_seed(0)
        kind = names[number % len(names)]
        print(f'\r{number + 1}/{args.count} {kind:16}', end='', flush=True)
        signal.alarm(SECONDS)
        try:
            kinds[kind]()
            counts[kind, 'loaded'] += 1
        except (ValueError, OSError) as error:
            counts[kind, 'refused'] += 1
            if str(args.out) not in str(error):
                wrong.append((number, kind, f'message without a name: {error!r}'))
        except BaseException as error:
            wrong.append((number, kind, repr(error)))
        finally:
            signal.alarm(0)
    print()
    for (kind, what), count in sorted(counts.items()):
        print(f'{kind}: {count} {what}')
    for number, kind, error in wrong:
        print(f'WRONG {number} {kind}: {error[:500]}')
    raise SystemExit(bool(wrong))


if __name__ == '__main__':
    main()
