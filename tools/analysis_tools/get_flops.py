"""Count parameters and operations of a config's model, or of a backbone by name: the same as ``mmfreq flops``."""

from mmfreq.commands.flops import main

if __name__ == '__main__':
    main()
