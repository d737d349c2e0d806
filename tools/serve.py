"""Show predictions of a model on a local page: the same as ``mmfreq serve``."""

from mmfreq.commands.serve import main

if __name__ == '__main__':
    main()
