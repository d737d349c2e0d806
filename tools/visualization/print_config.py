"""Print a config with everything that it inherits."""

import argparse
import sys

from mmengine.config import Config, DictAction

EXAMPLE = """\
example:
  python tools/visualization/print_config.py configs/fpn_dfformer_s18_ade20k.py \\
      --cfg-options train_dataloader.batch_size=2"""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='values in place of those of the config, by dotted key',
    )
    args = parser.parse_args()
    try:
        config = Config.fromfile(args.config)
    except FileNotFoundError as error:
        sys.exit(f'error: {error}')
    config.merge_from_dict(args.cfg_options)
    print(config.pretty_text)


if __name__ == '__main__':
    main()
