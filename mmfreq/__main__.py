"""The command ``mmfreq``: a sub-command for each thing to do with a network."""

import importlib
import sys

from mmfreq import __version__, preemption
from mmfreq.utils.names import nearest

__all__ = ['main']

COMMANDS = {
    'train': 'train a segmentor, detector or classifier from a config',
    'test': 'evaluate a checkpoint on the test set of its config',
    'predict': 'segment, detect or classify images of your own, into a folder of results',
    'serve': 'the same on a local page, with the spectra of what the network sees',
    'inspect': 'look at images and annotations of your own, and write a config that trains',
    'list': 'names of backbones, configs and released weights',
    'flops': 'parameters and operations of configs and backbones',
    'benchmark': 'speed and memory of networks, side by side',
    'compare': 'train several networks under one recipe, with seeds, and compare them',
    'export': 'write an ONNX file and compare it with PyTorch',
    'check': 'what is installed, what fits and what does not',
}
HELP = """\
usage: mmfreq COMMAND [options]; mmfreq COMMAND --help shows the options of a command

{commands}

examples:
  mmfreq list 'gf*'
  mmfreq train upernet_gfnet_h_s_ade20k --data-root /data/ADEChallengeData2016
  mmfreq predict upernet_gfnet_h_s_ade20k iter_160000.pth photos/ --out predictions"""


def main() -> None:
    """Run the sub-command that the command line names."""
    name = sys.argv[1] if len(sys.argv) > 1 else '--help'
    if name in ('-h', '--help'):
        lines = [f'  {command:10} {what}' for command, what in COMMANDS.items()]
        print(HELP.format(commands='\n'.join(lines)))
        sys.exit(0 if len(sys.argv) > 1 else 2)
    if name == '--version':
        print(__version__)
        return
    if name not in COMMANDS:
        sys.exit(f'error: there is no command {name!r}{nearest(name, list(COMMANDS))}')
    if name in ('train', 'compare'):
        preemption.listen()  # before the imports that take seconds
    sys.argv = [f'mmfreq {name}', *sys.argv[2:]]
    try:
        command = importlib.import_module(f'mmfreq.commands.{name}')
    except ModuleNotFoundError as error:
        if (error.name or 'mmfreq').startswith('mmfreq'):
            raise
        sys.exit(
            f'error: mmfreq {name} needs {error.name}, which is not installed: '
            "pip install 'mmfreq[onedl]'; mmfreq check says what else is missing"
        )
    command.main()


if __name__ == '__main__':
    main()
