"""DomainNet: 345 kinds of things in six styles, with published training and test lists (cleaned version)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.readers.domains import domain_shifts
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

# The published order of labels. It is no sorted order, so folder names must never be sorted into labels.
_NAMES = """
aircraft_carrier airplane alarm_clock ambulance angel animal_migration ant anvil apple arm asparagus
axe backpack banana bandage barn baseball baseball_bat basket basketball bat bathtub beach bear beard
bed bee belt bench bicycle binoculars bird birthday_cake blackberry blueberry book boomerang bottlecap
bowtie bracelet brain bread bridge broccoli broom bucket bulldozer bus bush butterfly cactus cake
calculator calendar camel camera camouflage campfire candle cannon canoe car carrot castle cat
ceiling_fan cello cell_phone chair chandelier church circle clarinet clock cloud coffee_cup compass
computer cookie cooler couch cow crab crayon crocodile crown cruise_ship cup diamond dishwasher
diving_board dog dolphin donut door dragon dresser drill drums duck dumbbell ear elbow elephant
envelope eraser eye eyeglasses face fan feather fence finger fire_hydrant fireplace firetruck fish
flamingo flashlight flip_flops floor_lamp flower flying_saucer foot fork frog frying_pan garden
garden_hose giraffe goatee golf_club grapes grass guitar hamburger hammer hand harp hat headphones
hedgehog helicopter helmet hexagon hockey_puck hockey_stick horse hospital hot_air_balloon hot_dog
hot_tub hourglass house house_plant hurricane ice_cream jacket jail kangaroo key keyboard knee knife
ladder lantern laptop leaf leg light_bulb lighter lighthouse lightning line lion lipstick lobster
lollipop mailbox map marker matches megaphone mermaid microphone microwave monkey moon mosquito
motorbike mountain mouse moustache mouth mug mushroom nail necklace nose ocean octagon octopus onion
oven owl paintbrush paint_can palm_tree panda pants paper_clip parachute parrot passport peanut pear
peas pencil penguin piano pickup_truck picture_frame pig pillow pineapple pizza pliers police_car pond
pool popsicle postcard potato power_outlet purse rabbit raccoon radio rain rainbow rake remote_control
rhinoceros rifle river roller_coaster rollerskates sailboat sandwich saw saxophone school_bus scissors
scorpion screwdriver sea_turtle see_saw shark sheep shoe shorts shovel sink skateboard skull
skyscraper sleeping_bag smiley_face snail snake snorkel snowflake snowman soccer_ball sock speedboat
spider spoon spreadsheet square squiggle squirrel stairs star steak stereo stethoscope stitches
stop_sign stove strawberry streetlight string_bean submarine suitcase sun swan sweater swing_set sword
syringe table teapot teddy-bear telephone television tennis_racquet tent The_Eiffel_Tower
The_Great_Wall_of_China The_Mona_Lisa tiger toaster toe toilet tooth toothbrush toothpaste tornado
tractor traffic_light train tree triangle trombone truck trumpet t-shirt umbrella underwear van vase
violin washing_machine watermelon waterslide whale wheel windmill wine_bottle wine_glass wristwatch
yoga zebra zigzag
"""
CLASSES = tuple(_NAMES.split())
_BASE = "http://csr.bu.edu/ftp/visda/2019/multi-source"
_GROUNDTRUTH = f"{_BASE}/groundtruth"
# domain → address of the archive; md5 of archive, training list, test list; images in the two lists
DOMAINS = {
    "clipart": (
        f"{_GROUNDTRUTH}/clipart.zip",
        (
            "cd0d8f2d77a4e181449b78ed62bccf1e",
            "b4349693a7f9c05c53955725c47ed6cb",
            "f5ddbcfd657a3acf9d0f7da10db22565",
        ),
        (33_525, 14_604),
    ),
    "infograph": (
        f"{_BASE}/infograph.zip",
        (
            "720380b86f9e6ab4805bb38b6bd135f8",
            "379b50054f4ac2018dca4f89421b92d9",
            "779626b50869edffe8ea6941c3755c71",
        ),
        (36_023, 15_582),
    ),
    "painting": (
        f"{_GROUNDTRUTH}/painting.zip",
        (
            "1ae32cdb4f98fe7ab5eb0a351768abfd",
            "7db0e7ca73ad9982f6e1f7f3ef372c0a",
            "232b35dc53f26d414686ae579e38d9b5",
        ),
        (50_416, 21_850),
    ),
    "quickdraw": (
        f"{_BASE}/quickdraw.zip",
        (
            "bdc1b6f09f277da1a263389efe0c7a66",
            "b732ced3939ac8efdd8c0a889dca56cc",
            "c1a828fdfe216fb109f1c0083a252c6f",
        ),
        (120_750, 51_750),
    ),
    "real": (
        f"{_BASE}/real.zip",
        (
            "dcc47055e8935767784b7162e7c7cca6",
            "8ebf02c2075fadd564705f0dc7cd6291",
            "6098816791c3ebed543c71ffa11b9054",
        ),
        (120_906, 52_041),
    ),
    "sketch": (
        f"{_BASE}/sketch.zip",
        (
            "658d8009644040ff7ce30bb2e820850f",
            "1233bd18aa9a8a200bf4cecf1c34ef3e",
            "d8a222e4672cfd585298aa14d02ea441",
        ),
        (48_212, 20_916),
    ),
}

LABEL_SPACES.register(
    LabelSpace(
        name="domainnet",
        class_names=tuple(name.replace("_", " ") for name in CLASSES),
        templates=("a photo of a {}.", "a painting of a {}.", "a sketch of a {}.", "a drawing of a {}."),
    )
)

SOURCES.register(
    ImageSource(
        name="domainnet",
        title="DomainNet: clipart, infograph, painting, quickdraw, real, sketch (cleaned)",
        label_space="domainnet",
        counts={
            f"{domain}-{part}": (None,) * len(CLASSES) for domain in DOMAINS for part in ("test", "train")
        },
        totals={
            f"{domain}-{part}": number
            for domain, (_, _, (train, test)) in DOMAINS.items()
            for part, number in (("test", test), ("train", train))
        },
        files=tuple(
            RemoteFile(filename=address.rpartition("/")[2], urls=(address,), md5=md5)
            for domain, (archive, hashes, _) in DOMAINS.items()
            for address, md5 in zip(
                (
                    archive,
                    f"{_BASE}/domainnet/txt/{domain}_train.txt",
                    f"{_BASE}/domainnet/txt/{domain}_test.txt",
                ),
                hashes,
                strict=True,
            )
        ),
        hub="wltjr1007/DomainNet",
        hub_files=("*.parquet",),
        licence="fair use notice: non-commercial research and education",
        citation="X. Peng, Q. Bai, X. Xia, Z. Huang, K. Saenko, B. Wang. Moment Matching for Multi-Source "
        "Domain Adaptation. ICCV 2019, arXiv 1812.01754.",
        homepage="http://ai.bu.edu/M3SDA/",
        layouts=(
            "folder with DOMAIN/CLASS/NAME of one or more domains and the lists DOMAIN_{train,test}.txt",
            "the Hub's copy, parquet or saved by save_to_disk, with the columns image, image_path and y",
        ),
        loader="shifts.sources.domainnet:load",
        notes="The lists of the cleaned version decide what belongs to the set; three of the archives hold "
        "images that were removed later.",
    )
)

SHIFTS.register(*domain_shifts("domainnet", "DomainNet", tuple(DOMAINS), test="-test"))


def load(root: Path, split: str) -> Examples:
    """The images of a published list; ids ``CLASS/NAME``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_listed, _hub), source="domainnet")


def _listed(root: Path, split: str) -> Examples | None:
    import numpy as np

    from shifts.data import Examples
    from shifts.readers.files import FolderFiles
    from shifts.readers.layouts import folder_with
    from shifts.readers.payloads import FilePayloads

    domain, _, part = split.partition("-")
    lists = folder_with(root, f"{domain}_{part}.txt", depth=3)
    if lists is None:
        return None
    table = lists / f"{domain}_{part}.txt"
    names, labels = [], []
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), start=1):
        name, _, label = line.rpartition(" ")
        labels.append(_label(name, label, domain=domain, where=f"{table}, line {number}"))
        names.append(name)
    # Lists lie beside the domains or somewhere below; archives may unpack to DOMAIN/DOMAIN.
    above = [folder for folder in (lists, *lists.parents) if folder == root or root in folder.parents]
    places = [folder / inside for folder in above for inside in ("", domain)]
    base = next((place for place in places if names and (place / names[0]).parent.is_dir()), None)
    if base is None:
        return None
    return Examples(
        payloads=FilePayloads(FolderFiles(base), names, beside=[table]),
        labels=np.array(labels, dtype=np.int64),
        ids=[_id(name) for name in names],
    )


def _hub(root: Path, split: str) -> Examples | None:
    """The Hub's rows, which name the published file and its label (``image_path``, ``y``)."""
    import numpy as np

    from shifts.data import Examples
    from shifts.readers.hub import hub_payloads, words
    from shifts.readers.payloads import Subset

    domain, _, part = split.partition("-")
    payloads = hub_payloads(root, part, label=None)
    if payloads is None:
        return None
    paths, numbers = words(payloads, "image_path"), payloads.column("y")
    rows = np.flatnonzero(np.char.startswith(paths, f"{domain}/"))
    if not len(rows):
        return None
    names = paths[rows].tolist()
    labels = [
        _label(name, str(numbers[row]), domain=domain, where=f"{root}, row {row}")
        for row, name in zip(rows.tolist(), names, strict=True)
    ]
    return Examples(
        payloads=Subset(payloads, rows),
        labels=np.array(labels, dtype=np.int64),
        ids=[_id(name) for name in names],
    )


def _id(name: str) -> str:
    return name.partition("/")[2].rpartition(".")[0]


def _label(name: str, label: str, *, domain: str, where: str) -> int:
    """The label of ``DOMAIN/CLASS/NAME``, which the copy gives as a number besides."""
    from shifts.errors import CorruptDataError

    parts = name.split("/")
    if len(parts) != 3 or parts[0] != domain or parts[1] not in CLASSES:
        raise CorruptDataError(f"{where}: {f'{name} {label}'!r} is no DOMAIN/CLASS/NAME LABEL")
    published = CLASSES.index(parts[1])
    if label != str(published):
        raise CorruptDataError(
            f"{where}: {parts[1]} has the label {label}, published is {published}",
            hint="get the lists from the homepage; sorted folder names are not the published labels",
        )
    return published
