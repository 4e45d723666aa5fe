"""Sets of several domains with the same classes: photographs, paintings, sketches; camera places.

Every domain is a reference once and a shift against each of the others: with the source ``pacs`` and its
domain ``photo`` the reference is ``pacs-photo`` and the drawings are ``pacs-photo/sketch``. A target is all
images of its domain, as published protocols have it. The reference is a part of its domain that is held out
from training: the published test list where there is one, else a fixed fifth of every class (DomainBed's
share), so that a model trained on the rest is not measured on what it has seen.

Declarations read this module, so nothing heavy is imported at its top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shifts.spec import Selection, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples
    from shifts.readers.files import FolderFiles

HELD_OUT = 0.2
DEPTH = 3


def domain_shifts(
    source: str, title: str, domains: Sequence[str], *, test: str | None = None, notes: str = ""
) -> list[ShiftSpec]:
    """A reference for every domain, and every other domain as a shift against it.

    Args:
        source: name of the source, whose splits are the domains.
        title: of the set, for the titles of the shifts.
        domains: names of the domains, in lower case with dashes.
        test: for a set with published lists, what the name of a test split ends with (``"-test"``);
            None holds out a fifth of the reference's domain.
    """
    shared: dict[str, Any] = {"source": source, "label_space": source, "groups": ("class",), "notes": notes}
    specs = []
    for home in domains:
        specs.append(
            ShiftSpec(
                name=f"{source}-{home}",
                title=f"{title}: {home.replace('-', ' ')}, held out",
                kind="reference",
                support="in",
                split=home + (test or ""),
                selection=None if test else _side("test"),
                training=None if test else _side("train"),
                **shared,
            )
        )
        specs += [
            ShiftSpec(
                name=f"{source}-{home}/{away}",
                title=f"{title}: {away.replace('-', ' ')}, against {home.replace('-', ' ')}",
                kind="natural",
                support="unknown",
                split=away + (test or ""),
                reference=f"{source}-{home}",
                **shared,
            )
            for away in domains
            if away != home
        ]
    return specs


def _side(side: str) -> Selection:
    return Selection(
        function="shifts.perturbations.selections:holdout", parameters={"share": HELD_OUT, "side": side}
    )


def domain_folder(
    root: Path, folders: Sequence[str], classes: Mapping[str, int], *, hub_column: str | None = None
) -> Examples | None:
    """The images of ``DOMAIN/CLASS/NAME``; ids are ``CLASS/NAME``.

    Args:
        folders: names that the domain's folder goes by.
        classes: class folder → label.
        hub_column: in the Hub's copy of the set, the column that names the domain.

    Raises:
        CorruptDataError: a folder of images is no class, or a class folder holds something else.
    """
    from shifts.readers.folders import class_folders

    files = domain_files(root, folders, classes)
    if files is None:
        return None if hub_column is None else _from_hub(root, folders, classes, hub_column)
    found = class_folders(files, classes, depth=0)
    return None if found is None else found.examples()


def parted_domain(
    root: Path, folders: Sequence[str], classes: Mapping[str, int], *, parts: Sequence[str]
) -> Examples | None:
    """The images of ``DOMAIN/PART/CLASS/NAME``, all parts together; ids are ``PART/CLASS/NAME``.

    Args:
        folders: names that the domain's folder goes by.
        classes: class folder → label.
        parts: folders whose images make up the domain.

    Raises:
        CorruptDataError: as for ``domain_folder``.
    """
    import numpy as np

    from shifts.data import Examples
    from shifts.readers.folders import class_folders
    from shifts.readers.payloads import Chain

    files = domain_files(root, folders, dict.fromkeys(parts, 0))
    if files is None:
        return None
    found = [(part, class_folders(files, classes, below=(part,), depth=0)) for part in parts]
    there = [(part, one) for part, one in found if one is not None]
    if not there:
        return None
    return Examples(
        payloads=Chain([one.examples().payloads for _, one in there]),
        labels=np.concatenate([one.labels for _, one in there]),
        ids=[f"{part}/{stem}" for part, one in there for stem in one.stems],
    )


def domain_files(root: Path, folders: Sequence[str], classes: Mapping[str, int]) -> FolderFiles | None:
    """The folder of a domain nearest to ``root``: it goes by one of the names and holds class folders."""
    from shifts.readers.files import FolderFiles

    level = [root] if root.is_dir() else []
    for _ in range(DEPTH):
        level = [folder / name for folder in level for name in FolderFiles(folder).folders("")]
        # A class may be named like a domain, so the class folders below decide.
        for folder in level:
            if folder.name in folders and any(name in classes for name in FolderFiles(folder).folders("")):
                return FolderFiles(folder)
        level = [folder for folder in level if folder.name not in classes]
    return None


def _from_hub(root: Path, folders: Sequence[str], classes: Mapping[str, int], column: str) -> Examples | None:
    """Rows of the Hub's copy whose domain has one of the names; ids are the rows of the whole file set."""
    import numpy as np

    from shifts.data import Examples
    from shifts.readers.arrays import row_ids
    from shifts.readers.hub import hub_payloads, labels_by_name, words
    from shifts.readers.payloads import Subset

    payloads = hub_payloads(root, "train")
    if payloads is None:
        return None
    rows = np.flatnonzero(np.isin(words(payloads, column), list(folders)))
    if not len(rows):
        return None
    labels = labels_by_name(payloads, classes)[rows]
    return Examples(payloads=Subset(payloads, rows), labels=labels, ids=row_ids("hub", rows.tolist()))
