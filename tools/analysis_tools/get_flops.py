"""Count parameters and operations of a network: the same as ``mmfreq flops``."""

from mmfreq.commands.flops import main

if __name__ == '__main__':
    main()
