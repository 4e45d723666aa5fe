"""What the tag of a timm weight says about the data behind it.

A tag is read from left to right as a history: ``laion2b_ft_in12k_in1k`` was trained on LAION-2B, then on
ImageNet-12k, then on ImageNet-1k. What a teacher or a target network has seen counts as seen, since the
student learns from its answers. Every tag of the library was looked through; one that says nothing is
``unknown``.
"""

from __future__ import annotations

from dataclasses import dataclass

from models_zoo.spec import Family
from models_zoo.training_data import UNKNOWN

# Words of a tag, in whole words → the data they stand for.
WORDS = {
    "metaclip_400m": ("metaclip-400m",),
    "metaclip_2pt5b": ("metaclip-2.5b",),
    "metaclip2_worldwide": ("metaclip2-worldwide",),
    "openai": ("openai-wit",),
    "laion400m": ("laion-400m",),
    "laion2b": ("laion-2b",),
    "laiona": ("laion-aesthetic",),
    "datacomp1b": ("datacomp-1b",),
    "datacompxl": ("datacomp-1b",),
    "dfn2b": ("dfn-2b",),
    "dfndr2b": ("dfn-2b",),
    "dfn5b": ("dfn-5b",),
    "merged2b": ("merged-2b",),
    "webli": ("webli",),
    "cc12m": ("cc12m",),
    "yfcc15m": ("yfcc15m",),
    "yfcc100m": ("yfcc100m",),
    "ig1b": ("instagram-1b",),
    "seer": ("instagram-1b",),  # Goyal et al., arXiv 2103.01988: Instagram images without labels
    "swag": ("instagram-3.6b",),  # Singh et al., arXiv 2201.08371
    "jft": ("jft-300m",),
    "lvd142m": ("lvd-142m",),
    "lvd1689m": ("lvd-1689m",),
    "sat493m": ("sat-493m",),
    "sa1b": ("sa-1b",),
    "bamboo": ("bamboo",),
    "m30m": ("merged-30m",),
    "m38m": ("merged-38m",),
    "clip_ft": ("laion-400m",),  # of EVA's giant alone: fine-tuned from EVA-CLIP
    "in21k": ("imagenet-21k",),
    "in22k": ("imagenet-21k",),
    "inw21k": ("imagenet-21k",),
    "ssld": ("imagenet-21k",),  # Cui et al., arXiv 2103.05959: 4 million images of ImageNet-22k
    "goog_distilled": ("imagenet-21k",),  # Beyer et al., arXiv 2106.05237: the teacher is BiT-M
    "in12k": ("imagenet-12k",),
    "in1k": ("imagenet-1k",),
    # Pre-training without labels on ImageNet-1k, whose tags do not name it.
    "fcmae": ("imagenet-1k",),
    "mae": ("imagenet-1k",),
    "dino": ("imagenet-1k",),
    "fb_dino": ("imagenet-1k",),
    "apple_mclip": ("datacomp-1b", "openai-wit"),  # MobileCLIP, arXiv 2311.17049: teachers of both
    "apple_mclip_lt": ("datacomp-1b", "openai-wit"),
    "apple_pt": ("dfn-2b", "coyo-700m", UNKNOWN),  # AIMv2, arXiv 2411.14402: and images of Apple's own
    "fb_r896": ("sa-1b", UNKNOWN),  # SAM 2, arXiv 2408.00714
    "fb_r1024": ("sa-1b", UNKNOWN),
}
# Beginning of an architecture's name, word of the tag or "" → what the tag does not say.
BY_ARCHITECTURE = (
    ("beitv2_", "", ("openai-wit",)),  # arXiv 2208.06366: the tokenizer learns from CLIP
    ("beit3_", "", ("imagenet-21k", "cc12m", "cc3m", "mscoco")),  # arXiv 2208.10442, table 3
    ("eva_giant", "m30m", ("openai-wit",)),  # arXiv 2211.07636: CLIP features are the target
    ("eva_large", "in22k", ("laion-400m",)),  # EVA-CLIP's features are the target
    ("eva02_", "mim", ("laion-400m",)),  # arXiv 2303.11331: likewise
    ("tiny_vit_", "dist", ("openai-wit",)),  # arXiv 2207.10666: the teacher is CLIP, fine-tuned
    ("vit_pe_", "fb", ("meta-pe",)),  # arXiv 2504.13181
)
ADVERSARIAL = ("tf_adv_in1k", "tf_ens_adv_in1k")
# AdvProp (arXiv 1911.09665) and AugMix (arXiv 1912.02781).
INTERVENTIONS = ("ap_in1k", "am_in1k")


@dataclass(frozen=True, slots=True)
class History:
    """What weights have seen, in the order in which the vocabulary lists it, and their family."""

    family: Family
    training_data: tuple[str, ...]


def history(architecture: str, tag: str) -> History:
    """Family and training data of a timm weight.

    >>> history("resnet50", "a1_in1k")
    History(family='standard', training_data=('imagenet-1k',))
    >>> history("vit_base_patch16_clip_224", "laion2b_ft_in12k_in1k").training_data
    ('laion-2b', 'imagenet-12k', 'imagenet-1k')
    """
    named = [data for words, found in WORDS.items() if has(tag, words) for data in found]
    named += [
        data
        for start, words, found in BY_ARCHITECTURE
        if architecture.startswith(start) and (not words or has(tag, words))
        for data in found
    ]
    order = [*dict.fromkeys(data for found in WORDS.values() for data in found)]
    seen = sorted(set(named), key=lambda data: order.index(data) if data in order else -1)
    if not seen or (seen == [UNKNOWN]):
        return History("unknown", (UNKNOWN,))
    if seen != ["imagenet-1k"]:
        return History("more-data", tuple(seen))
    if tag in ADVERSARIAL:
        return History("adversarial", tuple(seen))
    if tag in INTERVENTIONS:
        return History("robustness-intervention", tuple(seen))
    return History("standard", tuple(seen))


def has(tag: str, words: str) -> bool:
    """Whether a tag holds these words, whole and next to each other."""
    return f"_{words}_" in f"_{tag}_"
