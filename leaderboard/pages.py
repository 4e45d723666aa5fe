"""What a Parquet file will unpack to, read from its page headers before a page is unpacked.

The footer's own sums may lie; a reader allocates what the header of each page says. The headers are Thrift
structs in the compact protocol (Apache Parquet format, ``parquet.thrift``: PageHeader), whose first three
fields are the type of the page and its sizes.
"""

from __future__ import annotations

from typing import Any

_UNCOMPRESSED, _COMPRESSED = 2, 3
_DEPTH = 8


def unpacked_bytes(data: bytes, metadata: Any) -> int:
    """Bytes that all pages say they unpack to.

    Args:
        data: the file.
        metadata: its footer (``pyarrow.parquet.FileMetaData``).

    Raises:
        ValueError: pages that overlap the end of their column, or headers that cannot be.
    """
    total = 0
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            starts = [column.data_page_offset, column.dictionary_page_offset or column.data_page_offset]
            position = min(starts)
            end = position + column.total_compressed_size
            if position < 4 or end > len(data):
                raise ValueError("a column lies outside the file")
            while position < end:
                sizes, body = _page_header(data, position)
                if min(sizes) < 0:
                    raise ValueError("a page has a negative size")
                total += sizes[0]
                position = body + sizes[1]
            if position != end:
                raise ValueError("a page is longer than its column")
    return total


def _page_header(data: bytes, position: int) -> tuple[tuple[int, int], int]:
    """(uncompressed, compressed) size of a page, and where its body begins."""
    found: dict[int, int] = {}
    position = _struct(data, position, found, depth=0)
    if _UNCOMPRESSED not in found or _COMPRESSED not in found:
        raise ValueError("a page does not say how long it is")
    return (found[_UNCOMPRESSED], found[_COMPRESSED]), position


def _struct(data: bytes, position: int, integers: dict[int, int] | None, *, depth: int) -> int:
    """Pass over a struct and note its integers by field; returns where it ends."""
    if depth > _DEPTH:
        raise ValueError("a page header is nested too deeply")
    number = 0
    while True:
        head, position = _byte(data, position)
        if head == 0:
            return position
        kind, step = head & 0x0F, head >> 4
        if step:
            number += step
        else:
            raw, position = _varint(data, position)
            number = _zigzag(raw)
        if kind in (4, 5, 6):
            raw, position = _varint(data, position)
            if integers is not None:
                integers[number] = _zigzag(raw)
        else:
            position = _skip(data, position, kind, depth=depth)


def _skip(data: bytes, position: int, kind: int, *, depth: int) -> int:
    if kind in (1, 2):  # booleans lie in the type itself
        return position
    if kind == 3:
        return position + 1
    if kind in (4, 5, 6):
        return _varint(data, position)[1]
    if kind == 7:
        return position + 8
    if kind == 8:
        length, position = _varint(data, position)
        return position + length
    if kind == 12:
        return _struct(data, position, None, depth=depth + 1)
    raise ValueError(f"a page header has a field of type {kind}")


def _byte(data: bytes, position: int) -> tuple[int, int]:
    if position >= len(data):
        raise ValueError("a page header runs past the end of the file")
    return data[position], position + 1


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte, position = _byte(data, position)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number in a page header is too long")


def _zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)
