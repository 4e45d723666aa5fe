"""FMoW-WILDS: what a satellite image shows, in years after those trained on, by region of the world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

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
REGIONS = ("Asia", "Europe", "Africa", "Americas", "Oceania", "Other")
# split → images of each region
REGION_COUNTS = {
    "train": (17_809, 34_816, 1_582, 20_973, 1_641, 42),
    "id-val": (2_693, 5_268, 190, 3_076, 251, 5),
    "id-test": (2_615, 5_150, 209, 3_130, 218, 5),
    "val": (4_121, 7_732, 803, 6_562, 693, 4),
    "test": (4_963, 5_858, 2_593, 8_024, 666, 4),
}
# split → its name in the table, first day and first day after it
_PERIODS = {
    "train": ("train", "", "2013-01-01"),
    "id-val": ("val", "", "2013-01-01"),
    "id-test": ("test", "", "2013-01-01"),
    "val": ("val", "2013-01-01", "2016-01-01"),
    "test": ("test", "2016-01-01", "9999"),
}

LABEL_SPACES.register(
    LabelSpace(
        name="fmow",
        class_names=tuple(name.replace("_", " ") for name in CATEGORIES),
        templates=("a satellite photo of a {}.", "aerial imagery of a {}."),
    )
)

SOURCES.register(
    ImageSource(
        name="fmow",
        title="FMoW-WILDS v1.1",
        label_space="fmow",
        counts={split: (None,) * len(CATEGORIES) for split in ("id-test", "val", "test", "id-val", "train")},
        totals={split: sum(counts) for split, counts in REGION_COUNTS.items()},
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
        layouts=("WILDS' folder fmow_v1.1 with rgb_metadata.csv, country_code_mapping.csv and images/",),
        loader="shifts.sources.fmow:load",
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
    """A split with the attributes ``region`` and ``year``; ids are the numbers of the images.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_tables,), source="fmow")


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
