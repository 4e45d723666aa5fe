"""Office-Home: 65 kinds of everyday things as art, clipart, product pictures and photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.readers.domains import domain_shifts
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

# Labels are positions in the byte-wise order of the folder names (some code uses another order).
_NAMES = """
Alarm_Clock Backpack Batteries Bed Bike Bottle Bucket Calculator Calendar Candles Chair Clipboards
Computer Couch Curtains Desk_Lamp Drill Eraser Exit_Sign Fan File_Cabinet Flipflops Flowers Folder Fork
Glasses Hammer Helmet Kettle Keyboard Knives Lamp_Shade Laptop Marker Monitor Mop Mouse Mug Notebook Oven
Pan Paper_Clip Pen Pencil Postit_Notes Printer Push_Pin Radio Refrigerator Ruler Scissors Screwdriver
Shelf Sink Sneakers Soda Speaker Spoon TV Table Telephone ToothBrush Toys Trash_Can Webcam
"""
FOLDERS = tuple(_NAMES.split())
DOMAINS = {
    "art": ("Art",),
    "clipart": ("Clipart",),
    "product": ("Product",),
    "real-world": ("Real World", "Real_World", "RealWorld"),
}

LABEL_SPACES.register(
    LabelSpace(
        name="office-home",
        class_names=tuple(name.replace("ToothBrush", "Toothbrush").replace("_", " ") for name in FOLDERS),
    )
)

SOURCES.register(
    ImageSource(
        name="office-home",
        title="Office-Home: art, clipart, product, real world",
        label_space="office-home",
        counts={domain: (None,) * len(FOLDERS) for domain in DOMAINS},
        totals={"art": 2_427, "clipart": 4_365, "product": 4_439, "real-world": 4_357},
        files=(
            RemoteFile(
                filename="OfficeHomeDataset_10072016.zip",
                md5="b1c14819770c4448fd5b6d931031c91c",
                how="linked from the homepage",
            ),
        ),
        hub="flwrlabs/office-home@d430d44779e929b335be368ab3456484e5de36bb",
        hub_files=("*.parquet",),
        licence="fair use notice: non-commercial research and education",
        citation="H. Venkateswara, J. Eusebio, S. Chakraborty, S. Panchanathan. Deep Hashing Network for "
        "Unsupervised Domain Adaptation. CVPR 2017, arXiv 1706.07522.",
        homepage="https://www.hemanthdv.org/officeHomeDataset.html",
        layouts=(
            "OfficeHomeDataset_10072016.zip, or its folder {Art,Clipart,Product,Real World}/CLASS/NAME",
            "the Hub's copy, parquet or saved by save_to_disk, with the columns image, domain, label",
        ),
        loader="shifts.sources.office_home:load",
    )
)

SHIFTS.register(*domain_shifts("office-home", "Office-Home", tuple(DOMAINS)))


def load(root: Path, split: str) -> Examples:
    """A domain; ids ``CLASS/NAME``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_domain,), source="office-home")


def _domain(root: Path, split: str) -> Examples | None:
    from shifts.readers.domains import domain_folder

    labels = {name: label for label, name in enumerate(FOLDERS)}
    return domain_folder(root, DOMAINS[split], labels, hub_column="domain")
