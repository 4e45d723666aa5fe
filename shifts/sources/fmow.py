"""FMoW-WILDS: what a satellite image shows, in years after those trained on, by region of the world."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from shifts.data import Examples, Payloads

    Integers = NDArray[np.int64]

_NAMES = """
airport airport_hangar airport_terminal amusement_park aquaculture archaeological_site barn border_checkpoint
burial_site car_dealership construction_site crop_field dam debris_or_rubble educational_institution
electric_substation factory_or_powerplant fire_station flooded_road fountain gas_station golf_course
ground_transportation_station helipad hospital impoverished_settlement interchange lake_or_pond lighthouse
military_facility multi-unit_residential nuclear_powerplant office_building oil_or_gas_facility park
parking_lot_or_garage place_of_worship police_station port prison race_track railway_bridge
recreational_facility road_bridge runway shipyard shopping_mall single-unit_residential smokestack solar_farm
space_facility stadium storage_tank surface_mine swimming_pool toll_booth tower tunnel_opening waste_disposal
water_treatment_facility wind_farm zoo
"""
CATEGORIES = tuple(_NAMES.split())
REGIONS = ("Asia", "Europe", "Africa", "Americas", "Oceania", "Other")  # in the order of their numbers
FIRST_YEAR = 2002
# split → its name in the table, first day and first day after it
_PERIODS = {
    "id-test": ("test", "", "2013-01-01"),
    "val": ("val", "2013-01-01", "2016-01-01"),
    "test": ("test", "2016-01-01", "9999"),
    "id-val": ("val", "", "2013-01-01"),
    "train": ("train", "", "2013-01-01"),
}

# The prompts of Wortsman et al., arXiv 2109.01903 (mlfoundations/wise-ft, src/templates), but for the two
# that only exchange "a" and "an".
_PLACES = ("", " in asia", " in africa", " in the americas", " in europe", " in oceania")
_TEMPLATES = (
    *(f"{view} photo of a {{}}{place}." for place in _PLACES for view in ("satellite", "aerial")),
    "a photo of a {}.",
    "{}.",
)

LABEL_SPACES.register(
    LabelSpace(
        name="fmow",
        class_names=tuple(name.replace("_", " ") for name in CATEGORIES),
        templates=_TEMPLATES,
    )
)

SOURCES.register(
    ImageSource(
        name="fmow",
        title="FMoW-WILDS v1.1",
        label_space="fmow",
        counts={split: (None,) * len(CATEGORIES) for split in _PERIODS},
        totals={"test": 22_108},
        may_lack=True,
        files=(
            RemoteFile(
                filename="fmow_v1.1.tar.gz",
                how="the WILDS bundle 0xaec91eb7c9d548ebb15e1b5e60f966ab, if its server answers",
            ),
        ),
        licence="Functional Map of the World Challenge Public License",
        citation="G. Christie, N. Fendley, J. Wilson, R. Mukherjee. Functional Map of the World. CVPR 2018; "
        "P. W. Koh, S. Sagawa, et al. WILDS. ICML 2021, arXiv 2012.07421.",
        homepage="https://github.com/fMoW/dataset",
        hub="danielz01/fMoW",
        hub_files=("*WILDS*",),
        layouts=(
            "WILDS' folder fmow_v1.1 with rgb_metadata.csv, country_code_mapping.csv and images/",
            "the Hub's copy (configuration WILDS), parquet or saved by save_to_disk, with the columns image, "
            "label and metadata (region, year)",
            "shards of the test split on the Hub with KEY.cls and KEY.npy (region, year, label)",
        ),
        loader="shifts.sources.fmow:load",
        notes="Only the size of the test split is confirmed by two sources; of the others what a copy has is "
        "recorded when it is added.",
    )
)

_COMMON: dict[str, Any] = {
    "source": "fmow",
    "label_space": "fmow",
    "groups": ("region",),
    "reported": {"worst_group_accuracy": "worst region"},
    "notes": "Reported is the accuracy of the worst region. The few images of no region ('Other', four in "
    "the test set) are too few to count as one; in the average they do.",
}

SHIFTS.register(
    ShiftSpec(
        name="fmow",
        title="FMoW-WILDS, held-out images of 2002 to 2012",
        kind="reference",
        support="in",
        split="id-test",
        **_COMMON,
    ),
    ShiftSpec(
        name="fmow/val",
        title="FMoW-WILDS, images of 2013 to 2015, to select models on",
        kind="natural",
        support="unknown",
        split="val",
        reference="fmow",
        **_COMMON,
    ),
    ShiftSpec(
        name="fmow/test",
        title="FMoW-WILDS, images of 2016 and 2017",
        kind="natural",
        support="unknown",
        split="test",
        reference="fmow",
        **_COMMON,
    ),
)


def load(root: Path, split: str) -> Examples:
    """A split with the attributes ``region`` and ``year``; ids are the images' numbers where a copy tells.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_tables, _hub, _shards), source="fmow")


def _tables(root: Path, split: str) -> Examples | None:
    import numpy as np

    from shifts.errors import CorruptDataError
    from shifts.readers.layouts import folder_with
    from shifts.readers.tables import MEND, attribute, read_columns, table_examples

    folder = folder_with(root, "rgb_metadata.csv") if root.is_dir() else None
    if folder is None:
        return None
    tables = [folder / "rgb_metadata.csv", folder / "country_code_mapping.csv"]
    rows = read_columns(tables[0], "split", "category", "country_code", "timestamp")
    mapping = read_columns(tables[1], "alpha-3", "region")
    region_of = dict(zip(mapping["alpha-3"], mapping["region"], strict=True))
    part, first, after = _PERIODS[split]
    names, labels, regions, years = [], [], [], []
    labels_of = {category: label for label, category in enumerate(CATEGORIES)}
    # Images are numbered by row of the whole table, those of the sequences (which are not used) included.
    for number, (name, category, country, time) in enumerate(zip(*rows.values(), strict=True)):
        if name != part or not first <= time[:10] < after:
            continue
        if category not in labels_of or not time[:4].isdigit():
            raise CorruptDataError(f"{tables[0]}, row {number + 1}: {category!r}, {time!r}", hint=MEND)
        names.append(f"images/rgb_img_{number}.png")
        labels.append(labels_of[category])
        region = region_of.get(country, "Other")
        regions.append(region if region in REGIONS else "Other")
        years.append(time[:4])
    if not names:
        return None
    return table_examples(
        folder,
        names,
        np.array(labels, dtype=np.int64),
        attributes={"region": attribute(regions, REGIONS), "year": attribute(years)},
        tables=tables,
    )


def _hub(root: Path, split: str) -> Examples | None:
    """The Hub's rows; ``metadata`` (or ``domain_labels``) holds region, year and perhaps label as numbers."""
    import numpy as np

    from shifts.errors import CorruptDataError
    from shifts.readers.arrays import row_ids
    from shifts.readers.hub import hub_payloads
    from shifts.readers.tables import MEND

    payloads = hub_payloads(root, split.replace("-", "_"))
    if payloads is None:
        return None
    column = next((name for name in ("metadata", "domain_labels") if name in payloads.columns), "metadata")
    try:
        values = np.stack([np.asarray(one, dtype=np.int64) for one in payloads.column(column)])
    except (ValueError, TypeError) as error:
        raise CorruptDataError(f"{root}: {column} is not numbers of region and year", hint=MEND) from error
    if values.ndim != 2 or values.shape[1] < 2:
        raise CorruptDataError(f"{root}: {column} is not numbers of region and year", hint=MEND)
    if values.shape[1] > 2 and (values[:, 2] != payloads.labels).any():
        raise CorruptDataError(f"{root}: the labels in {column} are not those of the rows", hint=MEND)
    names = [re.search(r"rgb_img_\d+", name or "") for name in payloads.file_names()]
    ids = [f"images/{name.group()}" for name in names if name is not None]
    if len(ids) != len(payloads):
        ids = row_ids(f"hub-{split}", range(len(payloads)))
    return _coded(payloads, payloads.labels, ids, values[:, 0], values[:, 1], root)


def _shards(root: Path, split: str) -> Examples | None:
    from shifts.readers.arrays import row_ids
    from shifts.readers.wilds import wilds_shards

    shards = wilds_shards(root, ("test",), ("region", "year", "y")) if split == "test" else None
    if shards is None:
        return None
    found, columns = shards
    ids = row_ids("shards-test", range(len(found.names)))
    return _coded(found.payloads, found.labels, ids, columns["region"], columns["year"], root)


def _coded(
    payloads: Payloads, labels: Integers, ids: list[str], regions: Integers, years: Integers, root: Path
) -> Examples:
    """Examples whose groups are WILDS' numbers: the region's, and years since 2002."""
    from shifts.data import Attribute, Examples
    from shifts.errors import CorruptDataError
    from shifts.readers.tables import MEND, attribute

    if regions.min() < 0 or regions.max() >= len(REGIONS) or years.min() < 0 or years.max() > 15:
        raise CorruptDataError(f"{root}: a region is none of 0 to 5, or a year none of 0 to 15", hint=MEND)
    return Examples(
        payloads=payloads,
        labels=labels,
        ids=ids,
        attributes={
            "region": Attribute(values=regions, names=REGIONS),
            "year": attribute([str(FIRST_YEAR + year) for year in years.tolist()]),
        },
    )
