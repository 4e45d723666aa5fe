"""Readers of the layouts that data sets are published in; a source's loader puts them together.

The contract of a loader, which ``shifts.catalogue`` relies on: ``loader(root, split)`` raises
``DataNotFoundError`` when ``root`` holds that split in no layout it knows, and ``CorruptDataError`` when
a layout is there but damaged. Nothing here reads an image before it is asked for; payloads survive
pickling and may be read from several threads.
"""
