"""Keep the pages that arrays were given, instead of handing them back after every step.

A training step allocates the same large arrays again and again. glibc returns such blocks to the system when
they are freed, and the next step pays a page fault per 4 KB: a third of the MNIST CNN's step was that. Two
settings of the allocator make it keep what it has. They hold for the whole process, which is why an
environment variable can switch them off, and why settings that the user made come first.
"""

from __future__ import annotations

import ctypes
import os
import sys

#: Parameter numbers of glibc's mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
#: Blocks up to this size come from the heap; it is the most that glibc accepts.
_LARGEST_HEAP_BLOCK = 32 * 2**20
#: Free memory at the heap's top that is kept.
_KEPT = 2**31 - 1


def keep_pages() -> bool:
    """Have the C allocator keep freed pages; True when that is in force.

    Left alone where there is no glibc, where the user set MALLOC_* variables, and with
    TINYGRAD_CNN_KEEP_PAGES=0.
    """
    if sys.platform != "linux" or os.environ.get("TINYGRAD_CNN_KEEP_PAGES", "1") == "0":
        return False
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_HEAP_BLOCK)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEPT))
