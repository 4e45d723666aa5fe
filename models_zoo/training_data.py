"""The fixed vocabulary of training data, and what having seen a set means for a measurement on another.

``ModelSpec.training_data`` names entries of ``TRAINING_DATA``, sources, or references (a reference means the
part of it that models train on).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

from shifts.errors import UnknownNameError

if TYPE_CHECKING:
    from shifts.spec import ShiftSpec

UNKNOWN = "unknown"
Overlap = Literal["not checked", "measured", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """A set that models are trained on.

    Attributes:
        also: other spellings in use.
        contains: sets whose training images lie in it.
        train_of: sources whose training split it is.
        overlap: of a set gathered from the web without looking: whether images of the test sets in it were
            removed, or counted and left in (``measured``); None where the question does not arise.
        drawn_from_it: sources → why part of their test images lie in it.
    """

    name: str
    title: str
    also: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    train_of: tuple[str, ...] = ()
    overlap: Overlap | None = None
    drawn_from_it: Mapping[str, str] = field(default_factory=dict)


def _web(name: str, title: str, *also: str, overlap: Overlap = "not checked") -> TrainingData:
    return TrainingData(name=name, title=title, also=also, overlap=overlap)


_SYNSETS = "drawn from ImageNet's synsets"
_ENTRIES = (
    TrainingData(
        name="imagenet-1k",
        title="ILSVRC 2012, training split: 1.28 million images, 1,000 classes",
        also=("imagenet", "in1k", "ilsvrc2012"),
        train_of=("imagenet-val",),
        drawn_from_it={"stl10": _SYNSETS, "cinic10": _SYNSETS},
    ),
    # The release of fall 2011 (21,841 classes) and its later cuts: 21,843 with two more nodes, 19,167 or
    # 10,450 without persons or rare classes.
    TrainingData(
        name="imagenet-21k",
        title="ImageNet, fall 2011 and its cuts: 14 million images, up to 21,843 classes",
        also=("imagenet-22k", "in21k", "in22k"),
        contains=("imagenet-1k",),
        drawn_from_it={"stl10": _SYNSETS, "cinic10": _SYNSETS},
    ),
    TrainingData(
        name="imagenet-12k",
        title="11,821 classes of ImageNet-21k with enough images: 12 million images",
        also=("in12k",),
        drawn_from_it={"stl10": _SYNSETS, "cinic10": _SYNSETS},
    ),
    TrainingData(name="imagenet-11k", title="11,221 classes of ImageNet-21k"),
    TrainingData(name="imagenet-5k", title="5,000 classes of ImageNet-21k that hold the 1,000 of ILSVRC"),
    TrainingData(
        name="merged-30m",
        title="ImageNet-21k, CC12M, CC3M, Objects365, COCO and ADE20K (EVA)",
        contains=("imagenet-21k", "cc12m", "cc3m", "mscoco"),
    ),
    TrainingData(
        name="merged-38m",
        title="merged-30m and OpenImages (EVA-02)",
        contains=("merged-30m", "openimages"),
    ),
    TrainingData(name="mscoco", title="COCO with captions, training split", also=("coco",)),
    TrainingData(name="openimages", title="Open Images: 9 million images", also=("open-images",)),
    TrainingData(
        name="places365",
        title="Places: 1.8 million scenes, 365 classes",
        also=("places",),
        drawn_from_it={"waterbirds": "its backgrounds are scenes of Places"},
    ),
    TrainingData(name="inaturalist", title="iNaturalist: photos of species", also=("inat",)),
    TrainingData(name="bamboo", title="Bamboo: 69 million images, 115,217 classes", overlap="not checked"),
    TrainingData(name="sa-1b", title="Segment Anything: 11 million licensed photos", also=("sa1b",)),
    TrainingData(name="sat-493m", title="493 million satellite images (DINOv3)", also=("sat493m",)),
    _web("jft-300m", "JFT: 300 million images, noisy labels (Google, not public)", "jft"),
    _web("jft-3b", "JFT: 3 billion images (Google, not public)"),
    _web("instagram-1b", "Instagram: 940 million images with hashtags", "ig-1b", "ig1b"),
    _web("instagram-3.6b", "Instagram: 3.6 billion images with hashtags (SWAG)", "ig-3.6b", "swag"),
    _web("yfcc100m", "Flickr, Creative Commons: 100 million images", "yfcc-100m"),
    _web("yfcc15m", "15 million images of YFCC100M with English text", "yfcc-15m"),
    _web("cc3m", "Conceptual Captions: 3 million images with text"),
    _web("cc12m", "Conceptual 12M: 12 million images with text"),
    _web("laion-400m", "LAION: 413 million images with English text", "laion400m"),
    _web("laion-2b", "LAION: 2.3 billion images with English text", "laion2b"),
    _web("laion-5b", "LAION: 5.9 billion images with text", "laion5b"),
    _web("laion-aesthetic", "900 million images of LAION-2B chosen for looks", "laiona"),
    _web("coyo-700m", "COYO: 747 million images with text"),
    TrainingData(
        name="merged-2b",
        title="1.6 billion images of LAION-2B and 0.4 billion of COYO-700M",
        also=("merged2b",),
        contains=("laion-2b", "coyo-700m"),
        overlap="not checked",
    ),
    # Radford et al., arXiv 2103.00020, section 5: a median of 2.2 % duplicates over 35 sets, left in.
    _web(
        "openai-wit", "WebImageText: 400 million images (OpenAI, not public)", "wit-400m", overlap="measured"
    ),
    # Near-duplicates of the 38 evaluation sets were taken out: Gadre et al., arXiv 2304.14108, 3.2.
    _web("datacomp-1b", "DataComp: 1.4 billion images of CommonPool", "datacomp", overlap="removed"),
    _web("datacomp-large", "DataComp, scale large: 140 million images", overlap="removed"),
    _web("datacomp-medium", "DataComp, scale medium: 14 million images", overlap="removed"),
    _web("datacomp-small", "DataComp, scale small: 1.4 million images", overlap="removed"),
    _web(
        "commonpool-xlarge",
        "CommonPool: 12.8 billion images, or a simple cut",
        "commonpool",
        overlap="removed",
    ),
    _web("commonpool-large", "CommonPool: 1.28 billion images, or a simple cut", overlap="removed"),
    _web("commonpool-medium", "CommonPool: 128 million images, or a simple cut", overlap="removed"),
    _web("commonpool-small", "CommonPool: 12.8 million images, or a simple cut", overlap="removed"),
    _web("dfn-2b", "Data Filtering Networks: 2 billion images of CommonPool", overlap="removed"),
    _web("dfn-5b", "Data Filtering Networks: 5 billion images of 43 billion"),
    _web("metaclip-400m", "MetaCLIP: 400 million images of CommonCrawl, balanced"),
    _web("metaclip-2.5b", "MetaCLIP: 2.5 billion images of CommonCrawl, balanced"),
    _web("metaclip2-worldwide", "MetaCLIP 2: images with text of all languages"),
    _web("meta-pe", "Perception Encoder: 5.4 billion images with text (Meta, not public)"),
    # Near-duplicates of 68 sets were taken out: Chen et al. (PaLI), arXiv 2209.06794, section 3.2.
    _web("webli", "WebLI: 10 billion images with text (Google, not public)", overlap="removed"),
    # Near-duplicates of the test sets were taken out: Oquab et al. (DINOv2), arXiv 2304.07193, section 3.
    _web("lvd-142m", "LVD: 142 million images near to curated sets (Meta, not public)", overlap="removed"),
    _web("lvd-1689m", "LVD: 1.7 billion images (DINOv3; Meta, not public)", "lvd1689m"),
    TrainingData(name="digits-varied", title="digits of the pre-training split, tinted, padded and moved"),
    TrainingData(name=UNKNOWN, title="not published, or not recorded here"),
)
TRAINING_DATA: dict[str, TrainingData] = {entry.name: entry for entry in _ENTRIES}
_SPELLINGS = {other: entry.name for entry in _ENTRIES for other in entry.also}

# Sources whose test images nobody could have found on the web when the pools above were gathered: made for
# the purpose, or computed.
_NOT_ON_THE_WEB = frozenset(
    {"digits", "toy", "coloured-mnist", "objectnet", "camelyon17", "iwildcam", "fmow"}
)


def official(name: str) -> str:
    """The name in the vocabulary of a training set, a source or a reference.

    >>> official("imagenet-22k"), official("cifar10")
    ('imagenet-21k', 'cifar10')

    Raises:
        UnknownNameError: it is none of these.
    """
    from shifts.spec import SHIFTS, SOURCES

    if name in TRAINING_DATA:
        return name
    if name in _SPELLINGS:
        return _SPELLINGS[name]
    if name in SOURCES or (name in SHIFTS and SHIFTS.get(name).reference is None):
        return name
    import difflib

    near = difflib.get_close_matches(name, [*TRAINING_DATA, *_SPELLINGS, *SOURCES.names()], n=3, cutoff=0.5)
    meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise UnknownNameError(
        f"no training data is called {name!r}{meant}",
        hint="models_zoo/training_data.py holds the names; 'unknown' where it is not published",
    )


@cache
def seen(training_data: tuple[str, ...]) -> frozenset[str]:
    """The sets a model has seen, with those that lie in them.

    >>> sorted(seen(("imagenet-12k", "imagenet-22k")))
    ['imagenet-12k', 'imagenet-1k', 'imagenet-21k']
    """
    found: set[str] = set()
    waiting = [_SPELLINGS.get(name, name) for name in training_data]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += TRAINING_DATA[name].contains if name in TRAINING_DATA else ()
    return frozenset(found)


def trained_on(training_data: Iterable[str], reference: str) -> bool:
    """Whether a model has seen the training part of a reference: a line of such models is one for it."""
    from shifts.spec import SHIFTS

    names = seen(tuple(training_data))
    if reference in names:
        return True
    found = SHIFTS.find(reference)
    return found is not None and any(
        found.source in TRAINING_DATA[name].train_of for name in names if name in TRAINING_DATA
    )


def overlap_warnings(training_data: Iterable[str], shift: ShiftSpec) -> Iterator[str]:
    """What a reader has to know of a model that is measured on what it may have seen.

    ``contaminated: …`` is certain, ``overlap: …`` holds for part of the images, ``overlap not checked: …``
    says that nobody has published an answer. To be trained on the training split of a reference is no fault.
    """
    names = seen(tuple(training_data))
    reason = _contaminated(names, shift)
    if reason is not None:
        yield f"contaminated: {reason}"
        return
    known = [TRAINING_DATA[name] for name in sorted(names) if name in TRAINING_DATA]
    partly = [entry for entry in known if shift.source in entry.drawn_from_it]
    for entry in partly:
        why = entry.drawn_from_it[shift.source]
        yield f"overlap: part of {shift.source} is in {entry.name}, which the model has seen ({why})"
    if shift.source in _NOT_ON_THE_WEB or shift.reference is None:
        return
    if UNKNOWN in names:
        yield "overlap not checked: it is not known what the model was trained on"
    for overlap, text in (
        ("not checked", "overlap not checked: it is not published how many test images are in"),
        ("measured", "overlap left in: a few per cent of common test sets, as its makers counted, are in"),
    ):
        sets = [entry.name for entry in known if entry.overlap == overlap]
        if sets:
            yield f"{text} {', '.join(sets)}"


def _contaminated(names: frozenset[str], shift: ShiftSpec) -> str | None:
    """Why the model has seen the shift's images or its distribution, or None."""
    from shifts.spec import SHIFTS

    for name in sorted(names):
        if name == shift.name and shift.reference is not None:
            return "the model was trained on this distribution"
        other = SHIFTS.find(name)
        if other is not None and other.reference is None:
            reason = _seen_with(other, shift)
        else:  # a source of several domains, or one that is a shift and nothing else
            reason = f"the model was trained on {name}" if name == shift.source else None
        if reason is not None:
            return reason
    return None


def _seen_with(trained: ShiftSpec, shift: ShiftSpec) -> str | None:
    """Why a model trained on a reference has seen another distribution, or its images; None if not."""
    from shifts.spec import SHIFTS, SOURCES

    same_images = (shift.source, shift.split) == (trained.source, trained.split)
    corrupted = (
        shift.kind == "corruption"
        and shift.reference is not None
        and SHIFTS.get(shift.reference).source == trained.source
    )
    held_out = trained.training is not None or any(
        "train" in split for split in SOURCES.get(trained.source).counts
    )
    if (same_images or corrupted) and not held_out:
        return f"the model was trained on the test images of {trained.name}"
    if not same_images:
        return None
    if trained.training is not None and shift.selection != trained.selection:
        return f"the model was trained on images of {trained.name} that are among these"
    # Another reference's shift that is this very distribution: one domain of DomainNet seen from another.
    same = (shift.selection, shift.perturbations) == (trained.selection, trained.perturbations)
    if same and shift.reference not in (None, trained.name):
        return f"the model was trained on {trained.name}, the same distribution"
    return None
