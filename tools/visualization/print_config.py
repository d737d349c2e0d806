"""Print a config with everything that it inherits."""

from mmfreq.engine.command_line import add_config_options, errors_as_messages, make_parser
from mmfreq.engine.config_options import read_with_options

EXAMPLE = """\
  python tools/visualization/print_config.py configs/fpn_dfformer_s18_ade20k.py \\
      --cfg-options train_dataloader.batch_size=2"""


def main() -> None:
    """Run the command."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('config', help='config file')
    add_config_options(parser)
    args = parser.parse_args()
    with errors_as_messages():
        config = read_with_options(args.config, args.cfg_options)
    print(config.pretty_text)


if __name__ == '__main__':
    main()
