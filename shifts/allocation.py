"""How the C library keeps memory: threads that work on images need the same sizes again and again."""

from __future__ import annotations

import ctypes
from functools import cache

# Of glibc's mallopt: blocks below the first size come from memory that is kept, up to the second size.
_MMAP_THRESHOLD, _LARGEST_KEPT = -3, 32 * 2**20
_TRIM_THRESHOLD, _MOST_KEPT = -1, 512 * 2**20


@cache
def keep_freed_memory() -> None:
    """Let this process keep the memory of images that are done with, for the next ones.

    By default the C library of Linux gives blocks of an image's size back to the system at once. The next
    image then faults in every page anew, a fifth of the processor time of decoding a photograph, and threads
    that decode wait for each other while it happens.
    """
    try:
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
        library.mallopt(_TRIM_THRESHOLD, _MOST_KEPT)
    except (OSError, AttributeError, TypeError):
        return  # another C library
