"""Show predictions of a model on a local page, with the spectra of what the network sees.

The page takes an image and shows the prediction, the spectra of the feature maps, the gains of the
learned filters, and what is predicted without a band of the image's frequencies. Only this machine
reaches it unless --host says otherwise; it has no passwords. Images are forgotten when it ends.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

from mmfreq.engine.command_line import (
    add_config_options,
    add_trust_option,
    errors_as_messages,
    make_parser,
)
from mmfreq.engine.config_options import read_with_options
from mmfreq.inference.model import init_model

__all__ = ['main']

EXAMPLE = """\
  mmfreq serve upernet_gfnet_h_s_ade20k iter_160000.pth
  mmfreq serve my_config.py best.pth --device cpu --port 0"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('config', help='config of the model by path or name')
    parser.add_argument('checkpoint', help='checkpoint of the whole model')
    parser.add_argument('--host', default='127.0.0.1', help='0.0.0.0: all addresses of the machine')
    parser.add_argument('--port', type=int, default=7860, help='default: 7860; 0: a free one')
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: a GPU if there is one)')
    add_config_options(parser)
    add_trust_option(parser)
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        if args.config.endswith('.onnx'):
            raise ValueError(f'{args.config}: the page takes a config, not an ONNX file')
        _check_installed()
        import matplotlib

        from mmfreq.serving.server import listen, serve

        matplotlib.use('Agg')  # pictures without windows
        with listen(args.host, args.port) as listener:
            config = read_with_options(args.config, args.cfg_options)
            model = init_model(config, args.checkpoint, args.device)
            classes = len(model.dataset_meta['classes'])  # type: ignore[index]
            device = next(model.parameters()).device
            about = f'Checkpoint {Path(args.checkpoint).name}, {classes} classes, on {device}.'
            serve(model, Path(args.config).stem, about, listener)


def _check_installed() -> None:
    if find_spec('gradio') is None:
        raise ImportError(
            "mmfreq serve needs gradio, which is not installed: pip install 'mmfreq[serve]'"
        )
