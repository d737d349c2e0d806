"""Write a network as an ONNX file, and compare it with onnxruntime on real images.

A segmentor gives logits at the size of the image and labels, a classifier logits, a one-stage
detector the raw outputs of its head, any backbone its feature maps. The file has standard operators
only. Networks for other images than RGB are compared on random numbers.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mmcv
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from torch import Tensor, nn

from mmfreq.analysis.inputs import IMAGENET, normalise, open_backbone, preprocess, read_image
from mmfreq.engine.command_line import (
    add_config_options,
    add_trust_option,
    errors_as_messages,
    make_parser,
    this_command,
)
from mmfreq.engine.config_options import read_with_options
from mmfreq.export import BackboneOnly, Exportable, compare, export_onnx, part_to_export
from mmfreq.inference.model import load_model
from mmfreq.inference.onnx_file import metadata_of
from mmfreq.int8 import LOSS_OF_NUMBERS, LOSSES, export_int8
from mmfreq.utils.config_files import is_config
from mmfreq.zoo import (
    backbone_config,
    build_model,
    image_channels,
    model_settings,
    set_image_size,
)

__all__ = ['main']

EXAMPLE = """\
  mmfreq export configs/upernet_gfnet_h_s_ade20k.py iter_160000.pth \\
      --shape 512 512 --images a.jpg b.jpg
  mmfreq export dfformer-s18 dfformer_s18.pth --shape 224 224 --images a.jpg
  mmfreq export gfnet_h_s_in1k gfnet_h_s.pth --shape 224 224 --images a.jpg b.jpg --int8"""

TOLERANCES = {'labels': 1e-3}  # share of pixels
TOLERANCE = 1e-4  # of other outputs, relative to their largest number


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('model', metavar='CONFIG', help='a config, or a backbone by name')
    parser.add_argument(
        'checkpoint', nargs='?', help='weights, of a release or a training (default: random ones)'
    )
    parser.add_argument(
        '--shape',
        nargs=2,
        type=int,
        default=(512, 512),
        metavar=('H', 'W'),
        help='image size in pixels (default: 512 512)',
    )
    parser.add_argument(
        '--dynamic-batch', action='store_true', help='take any number of images, not only one'
    )
    parser.add_argument(
        '--backbone', action='store_true', help='export the backbone of the config, no decoder'
    )
    parser.add_argument(
        '--images',
        nargs='+',
        metavar='FILE',
        help='RGB images to compare on (default: two of the test set of the config)',
    )
    parser.add_argument(
        '--int8',
        action='store_true',
        help='linear layers in integers of 8 bits, everything else in float32; refused if more '
        f'than {LOSSES["labels"]:.0%} of the labels change, or an output by {LOSS_OF_NUMBERS:.0%} '
        'of its largest number'.replace('%', '%%'),
    )
    parser.add_argument(
        '--force', action='store_true', help='keep a file of --int8 that loses more than that'
    )
    parser.add_argument('--out', metavar='ONNX', help='default: work_dirs/onnx/MODEL[_int8].onnx')
    add_config_options(parser)
    add_trust_option(parser)
    return parser.parse_args()


def images_of(config: Config | None) -> list[str]:
    """The first two images of a config's test set."""
    missing = 'name image files with --images'
    if config is None:
        raise ValueError(f'a backbone has no test set: {missing}')
    try:
        with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmengine')):
            dataset = DATASETS.build(config.test_dataloader.dataset)
        return [dataset.get_data_info(i)['img_path'] for i in range(2)]
    except Exception as error:  # whatever a data set of any library does
        raise ValueError(f'the test set of the config is not there ({error}): {missing}') from error


def open_network(
    args: argparse.Namespace, config: Config | None, images: Tensor
) -> tuple[nn.Module, Exportable]:
    """The model of the command line for the size of images, and what of it is exported."""
    shape = (images.shape[2], images.shape[3])
    if config is None or args.backbone:
        model = open_backbone(config or args.model, args.checkpoint, shape)
        try:
            with torch.no_grad():
                return model, BackboneOnly(model, len(model(images)))
        except Exception as error:  # whatever a network of any library does
            raise ValueError(
                f'{args.model} cannot take images of {shape[0]} x {shape[1]} pixels: {error}'
            ) from error
    set_image_size(model_settings(config)['backbone'], shape)
    model = build_model(config)
    network = part_to_export(model)
    load_model(model, config, args.checkpoint)
    return model, network


def read_batches(
    files: list[str], shape: tuple[int, int], model: nn.Module, is_backbone: bool
) -> list[Tensor]:
    """Images, resized to a shape and normalised as the model's data preprocessor does it."""
    images = [mmcv.imresize(read_image(file), (shape[1], shape[0])) for file in files]
    if is_backbone:
        return [preprocess([image], model) for image in images]
    preprocessor: Any = model.data_preprocessor
    mean: Any
    std: Any
    mean, std = IMAGENET
    if hasattr(preprocessor, 'mean'):
        mean, std = preprocessor.mean.flatten().numpy(), preprocessor.std.flatten().numpy()
    return [normalise([image], mean, std) for image in images]


def main() -> None:
    """Run the command."""
    args = parse_args()
    shape = (args.shape[0], args.shape[1])
    with errors_as_messages():
        if min(shape) < 1:
            raise ValueError(f'--shape takes positive numbers, got {args.shape}')
        config = None
        channels = 3
        if is_config(args.model):
            config = read_with_options(args.model, args.cfg_options)
            channels = image_channels(config)
        elif args.cfg_options:
            raise ValueError('--cfg-options is for configs')
        else:
            backbone_config(args.model)  # says so if there is none of this name
        if channels != 3 and args.images:
            raise ValueError(
                f'the network takes images of {channels} channels, not --images in RGB'
            )
        source = args.checkpoint
        if source and '://' not in source and not Path(source).is_file():
            raise FileNotFoundError(f'checkpoint {source} does not exist or is not a file')
        files = args.images or (images_of(config) if channels == 3 else [])
        model, network = open_network(args, config, torch.zeros(1, channels, *shape))
        if not args.checkpoint:
            print('no checkpoint is given: the weights are random')
        if files:
            is_backbone = isinstance(network, BackboneOnly)
            batches = read_batches(files, shape, model, is_backbone)
            inputs = f'{len(files)} images'
        else:
            batches = list(torch.randn(2, 1, channels, *shape))
            inputs = f'random numbers for {channels} channels'
        stem = Path(args.model).stem + ('_int8' if args.int8 else '')
        out = Path(args.out or f'work_dirs/onnx/{stem}.onnx')
        out.parent.mkdir(parents=True, exist_ok=True)
        about = metadata_of(model, type(network).__name__, shape, this_command())
        with TemporaryDirectory(dir=out.parent) as folder:  # an earlier file stays until it is safe
            made = Path(folder) / out.name
            if args.int8:
                layers = export_int8(network, batches[0], made, args.dynamic_batch, about)
                print(f'{layers} linear layers are in 8 bits')
            else:
                export_onnx(network, batches[0], made, args.dynamic_batch, about)
            if args.dynamic_batch:
                batches.append(torch.cat([*batches, batches[0]]))
            worst = compare(network, made, batches)
            for name, difference in worst.items():
                kind = 'share that differs' if name in LOSSES else 'largest difference, relative,'
                print(f'{name}: {kind} {difference:.1e} on {inputs}')
            known, others = (LOSSES, LOSS_OF_NUMBERS) if args.int8 else (TOLERANCES, TOLERANCE)
            # Not a number is wrong, too.
            wrong = [name for name in worst if not worst[name] <= known.get(name, others)]
            if wrong and args.int8 and not args.force:
                sys.exit(
                    f'error: {", ".join(wrong)} would lose too much in 8 bits: {out} is not '
                    'written; --force writes such a file'
                )
            made.replace(out)
    print(f'wrote {out} ({out.stat().st_size / 2**20:.1f} MiB)')
    if wrong and not args.int8:
        sys.exit(f'error: {", ".join(wrong)} differ too much from PyTorch')
