"""Train a segmentor, detector or classifier from a config: the same as ``mmfreq train``."""

from mmfreq import preemption

if __name__ == '__main__':
    preemption.listen()  # before the imports that take seconds

from mmfreq.commands.train import main

if __name__ == '__main__':
    main()
