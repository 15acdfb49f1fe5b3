"""as_cuda(): the one place where the suite's arithmetic tells a CPU from a GPU.

On a CPU memory decides: small chunks that fit the cache, only real clicks, kernels for its matrix products. On CUDA
launches and waiting decide: large chunks, shapes that stay the same, and nothing whose size the host must know.
"""

from __future__ import annotations

import torch


def as_cuda(device: torch.device) -> bool:
    """Whether to compute in the way of a GPU on this device.

    Call it as `devices.as_cuda`, so that a test on a CPU can put another answer in its place.
    """
    return device.type != "cpu"
