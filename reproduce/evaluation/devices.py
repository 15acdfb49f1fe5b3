"""as_cuda(): the one place where the suite's arithmetic distinguishes a CPU from a GPU.

On a CPU memory access decides the speed, so the code uses small chunks that fit the cache, computes only real clicks
and calls matrix kernels made for CPUs. On CUDA kernel launches and waiting decide it, so the code uses large chunks,
fixed shapes and nothing whose size the host must know.
"""

from __future__ import annotations

import torch


def as_cuda(device: torch.device) -> bool:
    """Return whether to compute on this device in the way that suits a GPU.

    Call it as `devices.as_cuda`, so that a test on a CPU can replace it.
    """
    return device.type != "cpu"
