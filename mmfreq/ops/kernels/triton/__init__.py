"""CUDA kernels; only :mod:`~mmfreq.ops.kernels.triton.load` can be imported without Triton."""
