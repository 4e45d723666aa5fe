"""ObjectNet: household objects in unusual poses and places; the 113 classes it shares with ImageNet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.sources.imagenet import RUSSAKOVSKY, label_space
from shifts.spec import (
    SHIFTS,
    SOURCES,
    ImageSource,
    Perturbation,
    Pooling,
    Relabelling,
    RemoteFile,
    ShiftSpec,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from shifts.class_maps import NewLabels
    from shifts.data import Examples

BORDER = 2  # pixels cut on every side; the published border is red and, by its licence, one pixel wide

# Folder = indices of the ImageNet classes that mean it, derived from the two mapping files of the archive.
_MAP = """
alarm_clock=409+530 backpack=414 banana=954 band_aid=419 basket=790 beer_bottle=440 bench=703 bicycle=671+444
binder_closed=446 bottle_cap=455 bread_loaf=930 broom=462 bucket=463 butchers_knife=499 can_opener=473
candle=470 cellphone=487 chair=423+559+765 clothes_hamper=588 coffee_french_press=550 combination_lock=507
computer_mouse=673 desk_lamp=846 doormat=539 dress=578 dress_shoe_men=630 drill=740 drinking_cup=968
drying_rack_for_dishes=729 envelope=549 fan=545 frying_pan=567 full_sized_towel=434 hair_dryer=589 hammer=587
hand_towel_or_rag=533 helmet=560+518 iron_for_clothes=606 jeans=608 keyboard=508 ladle=618 lampshade=619
laptop_open=620 lemon=951 letter_opener=623 lighter=626 lipstick=629 match=644 measuring_cup=647 microwave=651
mixing_salad_bowl=659 monitor=664 mug=504 nail_fastener=677 necklace=679 orange=950 padlock=695 paintbrush=696
paper_towel=700 pen=418+749+563 pill_bottle=720 pillow=721 pitcher=725 plastic_bag=728 plate=923 plunger=731
pop_can=737 portable_heater=811 printer=742 remote_control=761 ruler=769 running_shoe=770 safety_pin=772
salt_shaker=773 sandal=774 screw=783 shovel=792 skirt=601+655+689 sleeping_bag=797 soap_dispenser=804 sock=806
soup_bowl=809 spatula=813 speaker=632 still_camera=732+759 strainer=828 stuffed_animal=850 suit_jacket=834
sunglasses=837 sweater=841 swimming_trunks=842 t-shirt=610 teapot=849 tennis_racket=752 tie=457+906
toaster=859 toilet_paper_roll=999 trash_bin=412 tray=868 tv=851 umbrella=879 vacuum_cleaner=882 vase=883
wallet=893 watch=531 water_bottle=898 weight_exercise=543 weight_scale=778 wheel=479+694 whistle=902
wine_bottle=907 winter_glove=658 wok=909
"""
CLASSES = {
    folder: tuple(sorted(int(index) for index in indices.split("+")))
    for folder, _, indices in (entry.partition("=") for entry in sorted(_MAP.split()))
}
POOLING = Pooling(label_space="imagenet-1k", members=tuple(CLASSES.values()), rule="max-logit")


def _label_space() -> LabelSpace:
    return LabelSpace(
        name="objectnet",
        class_names=tuple(folder.replace("_", " ") for folder in CLASSES),
        templates=label_space().templates,
    )


LABEL_SPACES.add_resolver(
    lambda name: _label_space() if name == "objectnet" else None, listing=lambda: [_label_space()]
)

SOURCES.register(
    ImageSource(
        name="objectnet",
        title="ObjectNet, the 113 classes shared with ImageNet",
        label_space="objectnet",
        counts={"test": (None,) * len(CLASSES)},
        files=(
            RemoteFile(
                filename="objectnet-1.0.zip",
                md5="522aa986a604c41ea641411c1d0a292e",
                how="download objectnet-1.0.zip from https://objectnet.dev and unpack it with the password "
                "that stands there (given so that everybody sees the licence)",
            ),
        ),
        licence="CC BY 4.0 with two clauses: never to be used to tune the parameters of any model, and "
        "single images may be shown only with their red border",
        citation="Barbu, Mayo, Alverio, Luo, Wang, Gutfreund, Tenenbaum and Katz. ObjectNet: A large-scale "
        "bias-controlled dataset for pushing the limits of object recognition models. NeurIPS 2019.",
        homepage="https://objectnet.dev",
        layouts=("unpacked objectnet-1.0 folder: images/alarm_clock/HEX.png and so on (313 folders)",),
        loader="shifts.sources.objectnet:load",
        checks=("shifts.sources.objectnet:borders",),
        notes="Usually 18,574 images (18,514 in the first release); what this copy has is recorded when it "
        "is added. Copies whose labels are numbers are not read: in which order they count differs.",
    )
)

_CROP = Perturbation(function="shifts.perturbations.views:crop_border", parameters={"pixels": BORDER})

SHIFTS.register(
    ShiftSpec(
        name="imagenet-val/objectnet-classes",
        title="ImageNet-1k validation set, the 125 classes that make up ObjectNet's 113",
        kind="reference",
        support="in",
        source="imagenet-val",
        split="val",
        label_space="objectnet",
        pooling=POOLING,
        groups=("class",),
        citation=RUSSAKOVSKY,
    ),
    ShiftSpec(
        name="objectnet",
        title="ObjectNet",
        kind="natural",
        support="unknown",
        source="objectnet",
        split="test",
        label_space="objectnet",
        reference="imagenet-val/objectnet-classes",
        pooling=POOLING,
        perturbations=(_CROP,),
        groups=("class",),
        notes="Protocol of the ImageNet testbed (Taori et al. 2020): among the 125 mapped classes alone, and "
        "an answer is right when its class is one of the folder's; that is, 113 classes, each with the "
        "largest logit of its members. The challenge's own template answers among all 1000, which is harder: "
        "objectnet/all-classes. A zero-shot model answers in the names of the folders.",
    ),
    ShiftSpec(
        name="objectnet/all-classes",
        title="ObjectNet, answers among all 1000 ImageNet classes",
        kind="natural",
        support="unknown",
        source="objectnet",
        split="test",
        label_space="imagenet-1k",
        reference="imagenet-val",
        relabelling=Relabelling(function="shifts.sources.objectnet:meant"),
        perturbations=(_CROP,),
        notes="The template of the ObjectNet challenge: the best (or five best) of all 1000 classes, right "
        "when one of them is an ImageNet class of the folder; the 875 others are always wrong. Harder than "
        "the testbed's protocol; never mix the two. The reference is the whole validation set.",
    ),
)


def load(root: Path, split: str) -> Examples:
    """The images of the 113 shared classes; ids ``FOLDER/HEX``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_folders,), source="objectnet")


def _folders(root: Path, split: str) -> Examples | None:
    from shifts.readers.files import FolderFiles
    from shifts.readers.folders import class_folders
    from shifts.readers.layouts import remark

    labels = {folder: label for label, folder in enumerate(CLASSES)}
    if not root.is_dir():
        return None
    found = class_folders(FolderFiles(root), labels, below=("images", "test", ""), depth=2, part=True)
    if found is None:
        return None
    if found.left_out:
        remark(
            f"{len(found.left_out)} folders are of other classes and were left out "
            f"({', '.join(found.left_out[:3])}, ...); ObjectNet has 200 such folders"
        )
    return found.examples()


def meant(ids: Sequence[str], labels: NDArray[np.int64]) -> NewLabels:
    """For each image every ImageNet class that its folder means."""
    import numpy as np

    from shifts.class_maps import NewLabels

    accepted = [POOLING.members[label] for label in labels.tolist()]
    return NewLabels(labels=np.array([known[0] for known in accepted], dtype=np.int64), accepted=accepted)


def borders(examples: Examples) -> list[str]:
    """Whether images have the red border that the protocol cuts off, looked at in up to 500 of them."""
    import numpy as np

    from shifts.checking import place

    rows = np.unique(np.linspace(0, len(examples.ids) - 1, 500).astype(np.int64)).tolist()
    without = [row for row in rows if not _has_border(examples.image(row))]
    if not without:
        return []
    return [
        f"{place(examples, without[0])} has no red border ({len(without)} of {len(rows)} images looked at): "
        f"cutting {BORDER} pixels off every side would cut the picture"
    ]


def _has_border(image: object) -> bool:
    import numpy as np

    pixels = np.asarray(image, dtype=np.int64)
    ring = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red = (ring[:, 0] > 150) & (ring[:, 1:] < 100).all(axis=1)
    return bool(red.mean() > 0.95)
