"""Convert a released checkpoint of any backbone of mmfreq to a file of weights only.

Names and layouts become those of mmfreq, filters are resized to the size of the options, plain
ResNet weights are brought into the Fourier form. The file's name ends with the first eight digits
of its SHA-256, which torch.hub checks when it downloads the file.
"""

import argparse
from pathlib import Path

from mmengine.config import DictAction

from mmfreq.engine.command_line import add_trust_option, errors_as_messages, make_parser
from mmfreq.models.pretrained import Coverage, load_pretrained
from mmfreq.registry import MODELS
from mmfreq.utils.checkpoint import write_weights

EXAMPLE = """\
  python tools/model_converters/convert_checkpoint.py mmfreq.DFFormer dfformer_s18.pth converted \\
      --options arch=s18 img_size=512
  python tools/model_converters/convert_checkpoint.py mmfreq.FDResNet torchvision://resnet50 \\
      converted --options depth=50"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('backbone', help='type of the backbone, e.g. mmfreq.DFFormer')
    parser.add_argument('source', help='path or address of the checkpoint')
    parser.add_argument('out_dir', help='folder for the converted file')
    parser.add_argument(
        '--options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='arguments of the backbone',
    )
    add_trust_option(parser)
    return parser.parse_args()


def convert(backbone: str, source: str, out_dir: str, options: dict) -> tuple[Path, Coverage]:
    """Convert a checkpoint.

    Args:
        backbone (str): Registered type.
        source (str): Path or address of the checkpoint.
        out_dir (str): Folder for the result, created if it does not exist.
        options (dict): Arguments of the backbone.

    Returns:
        tuple[Path, Coverage]: The written file, and what became of each tensor.

    Raises:
        ValueError: If the backbone is unknown, or the checkpoint does not belong to it.
    """
    if MODELS.get(backbone) is None:
        raise ValueError(f'there is no backbone {backbone!r}; names start with mmfreq.')
    try:
        model = MODELS.build(dict(type=backbone, **options))
    except TypeError as error:
        raise ValueError(f'{backbone} cannot be built with {options}: {error}') from error
    coverage = load_pretrained(model, source)
    path = write_weights(model.state_dict(), out_dir, Path(source).stem)
    return path, coverage


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        path, coverage = convert(args.backbone, args.source, args.out_dir, args.options)
    for name in coverage.loaded:
        print(f'{"resized" if name in coverage.resized else "loaded":8} {name}')
    for status in ('dropped', 'missing'):
        for name in getattr(coverage, status):
            print(f'{status:8} {name}')
    counts = ', '.join(f'{len(names)} {status}' for status, names in coverage._asdict().items())
    print(f'{counts}\nwritten to {path}')


if __name__ == '__main__':
    main()
