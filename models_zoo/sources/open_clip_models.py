"""CLIP and its relatives from the open_clip library, as zero-shot classifiers.

A model is ``open_clip:ARCHITECTURE:TAG``, in the library's spelling or any other case; its name here is the
lower-case one. ``open_clip:ARCHITECTURE`` alone takes weights from a file. Some have a short name as well.

QuickGELU: weights trained with it are worse in any other architecture (open_clip issue 1109: 64.4 instead of
68.3 % on ImageNet), and it cannot be read off them. The variant follows the tag, whatever was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from models_zoo.open_clip_index import Architecture, Pretrained, architectures
from models_zoo.open_clip_origins import NOT_KNOWN, origin
from models_zoo.spec import MODELS, HubFile, Interpolation, ModelSpec, Preprocess
from shifts.errors import UnknownNameError
from shifts.labels import ANY

if TYPE_CHECKING:
    from pathlib import Path

    from models_zoo.classifier import TorchClassifier

PREFIX = "open_clip:"
QUICK = "-quickgelu"
HOMEPAGE = "https://github.com/mlfoundations/open_clip"
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)

# short name → architecture and tag of the library
SHORT = {
    "clip-rn50": ("RN50-quickgelu", "openai"),
    "clip-rn101": ("RN101-quickgelu", "openai"),
    "clip-rn50x4": ("RN50x4-quickgelu", "openai"),
    "clip-rn50x16": ("RN50x16-quickgelu", "openai"),
    "clip-rn50x64": ("RN50x64-quickgelu", "openai"),
    "clip-vit-b32": ("ViT-B-32-quickgelu", "openai"),
    "clip-vit-b16": ("ViT-B-16-quickgelu", "openai"),
    "clip-vit-l14": ("ViT-L-14-quickgelu", "openai"),
    "clip-vit-l14-336": ("ViT-L-14-336-quickgelu", "openai"),
    "clip-vit-b32-laion400m": ("ViT-B-32-quickgelu", "laion400m_e32"),
    "clip-vit-b16-laion400m": ("ViT-B-16", "laion400m_e32"),
    "clip-vit-l14-laion400m": ("ViT-L-14", "laion400m_e32"),
    "clip-vit-b32-laion2b": ("ViT-B-32", "laion2b_s34b_b79k"),
    "clip-vit-b16-laion2b": ("ViT-B-16", "laion2b_s34b_b88k"),
    "clip-vit-l14-laion2b": ("ViT-L-14", "laion2b_s32b_b82k"),
    "clip-vit-h14-laion2b": ("ViT-H-14", "laion2b_s32b_b79k"),
    "clip-vit-g14-laion2b": ("ViT-g-14", "laion2b_s34b_b88k"),
    "clip-vit-bigg14-laion2b": ("ViT-bigG-14", "laion2b_s39b_b160k"),
    "clip-vit-b32-datacomp": ("ViT-B-32", "datacomp_xl_s13b_b90k"),
    "clip-vit-b16-datacomp": ("ViT-B-16", "datacomp_xl_s13b_b90k"),
    "clip-vit-l14-datacomp": ("ViT-L-14", "datacomp_xl_s13b_b90k"),
    "clip-vit-b16-dfn2b": ("ViT-B-16-quickgelu", "dfn2b"),
    "clip-vit-l14-dfn2b": ("ViT-L-14-quickgelu", "dfn2b"),
    "clip-vit-h14-dfn5b": ("ViT-H-14-quickgelu", "dfn5b"),
    "clip-vit-b32-metaclip": ("ViT-B-32-quickgelu", "metaclip_fullcc"),
    "clip-vit-b16-metaclip": ("ViT-B-16-quickgelu", "metaclip_fullcc"),
    "clip-vit-l14-metaclip": ("ViT-L-14-quickgelu", "metaclip_fullcc"),
    "clip-vit-h14-metaclip": ("ViT-H-14-quickgelu", "metaclip_fullcc"),
    "siglip-vit-b16": ("ViT-B-16-SigLIP", "webli"),
    "siglip-vit-so400m14-384": ("ViT-SO400M-14-SigLIP-384", "webli"),
    "siglip2-vit-b16": ("ViT-B-16-SigLIP2", "webli"),
    "siglip2-vit-so400m16-384": ("ViT-SO400M-16-SigLIP2-384", "webli"),
}


def declare(
    architecture: Architecture,
    weights: Pretrained | None,
    *,
    name: str | None = None,
    notes: tuple[str, ...] = (),
) -> ModelSpec:
    """The declaration of an architecture with published weights, or with none of its own."""
    tag = None if weights is None else weights.tag
    known = NOT_KNOWN if tag is None else origin(architecture.name, tag)
    return ModelSpec(
        name=name or ":".join(filter(None, ("open_clip", architecture.name.lower(), tag))),
        title=f"{architecture.name}, {tag or 'weights from a file'} (open_clip, zero-shot)",
        label_space=ANY,
        preprocess=preprocess_of(architecture, weights),
        family="zero-shot",
        training_data=known.training_data,
        loader="models_zoo.sources.open_clip_models:load",
        arguments={"architecture": architecture.name},
        weights=None if weights is None else _hub_file(weights),
        parameters=architecture.parameters,
        licence=known.licence,
        citation=known.citation,
        source=HOMEPAGE if weights is None else f"https://huggingface.co/{_hub_file(weights).repo}",
        suite="imagenet",
        notes=notes,
    )


def preprocess_of(architecture: Architecture, weights: Pretrained | None) -> Preprocess:
    """The library's evaluation transform: OpenAI's where no weights say otherwise."""
    if weights is None:
        return Preprocess(
            resize=architecture.size[0],
            crop=architecture.size,
            interpolation="bicubic",
            mean=OPENAI_MEAN,
            std=OPENAI_STD,
        )
    interpolation: Interpolation = "bilinear" if weights.interpolation == "bilinear" else "bicubic"
    shortest = weights.resize_mode == "shortest"
    return Preprocess(
        resize=architecture.size[0] if shortest else architecture.size,
        fit="contain" if weights.resize_mode == "longest" else "squash",
        crop=None if weights.resize_mode == "squash" else architecture.size,
        interpolation=interpolation,
        mean=weights.mean,
        std=weights.std,
    )


def _hub_file(weights: Pretrained) -> HubFile:
    """The file names that the library tries, in its order."""
    repo, _, filename = weights.hub.rpartition("/")
    if not filename:
        return HubFile(repo=repo, filenames=("open_clip_model.safetensors", "open_clip_pytorch_model.bin"))
    return HubFile(repo=repo, filenames=(f"{filename.rpartition('.')[0]}.safetensors", filename))


def resolve(name: str) -> ModelSpec | None:
    """``open_clip:ARCHITECTURE[:TAG]`` in any case.

    Raises:
        UnknownNameError: the architecture has no such weights; names those it has.
    """
    if not name.lower().startswith(PREFIX):
        return None
    asked, _, tag = name[len(PREFIX) :].lower().partition(":")
    asked, tag = asked.replace("/", "-"), tag.replace("-", "_")
    architecture = architectures().get(asked)
    if architecture is None:
        return None
    if not tag:
        return declare(architecture, None)
    if tag in architecture.pretrained:
        return declare(architecture, architecture.pretrained[tag])
    quick = quick_variant(architecture)
    if quick is None or tag not in quick.pretrained:
        raise UnknownNameError(
            f"open_clip has no weights {tag!r} for {architecture.name}", hint=_instead(architecture, tag)
        )
    note = f"{architecture.name} was asked for and {quick.name} evaluated: "
    note += f"the weights {tag!r} were trained with QuickGELU"
    return declare(quick, quick.pretrained[tag], notes=(note,))


def quick_variant(architecture: Architecture) -> Architecture | None:
    """The architecture with QuickGELU, for one without; None for one that has it, or has no such variant."""
    return None if architecture.quick_gelu else architectures().get(architecture.name.lower() + QUICK)


def _instead(architecture: Architecture, tag: str) -> str:
    asked = architecture.name.lower()
    plain, quick = architectures().get(asked.removesuffix(QUICK)), quick_variant(architecture)
    if plain is not None and tag in plain.pretrained:
        return f"they were trained without QuickGELU: open_clip:{plain.name.lower()}:{tag}"
    tags = [*architecture.pretrained, *(quick.pretrained if quick else ())]
    if not tags:
        return f"no weights are published for it; give a file: --model open_clip:{asked} --weights FILE"
    return f"one of {', '.join(tags)}"


def listing() -> Iterator[ModelSpec]:
    """Every pair of architecture and weights, with QuickGELU where the weights want it, by canonical name."""
    for architecture in architectures().values():
        for weights in architecture.pretrained.values():
            yield declare(architecture, weights)


def _short_names() -> Iterator[ModelSpec]:
    """The short names, declared as in the version of the library that the table in the package is of."""
    known = architectures(shipped=True)
    for name, (architecture, tag) in SHORT.items():
        found = known[architecture.lower()]
        yield declare(found, found.pretrained[tag], name=name)


MODELS.register(*_short_names())
MODELS.add_resolver(resolve, listing=listing, prefix=PREFIX)


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Build the towers, read the weights, make the head of a label space from its prompts.

    Raises:
        WeightsError: damaged, of another network, wanting to run code, or known to need another activation;
            or the tokenizer's files are not at hand.
        LabelSpaceError: not one class name for each class.
    """
    from models_zoo.open_clip_networks import classifier

    return classifier(spec, weights=weights, label_space=label_space, device=device, precision=precision)
