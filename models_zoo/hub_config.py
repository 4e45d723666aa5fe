"""What the configuration files of a repository say of its model, in the ways of three libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models_zoo.spec import Interpolation, Preprocess
from shifts.errors import LabelSpaceError, UserError
from shifts.labels import LABEL_SPACES

RESAMPLE: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box"}
WHOLE = 384  # ConvNeXt's processor squashes to sizes from here on, and crops below
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)  # where a processor's file is silent


def columns_for(names: Sequence[str], label_space: str) -> tuple[int, ...]:
    """For each class of the label space the output that is called like it.

    An output may be called by the class's name or wnid, or, for ImageNet's classes, by the words of its
    synset ("tench, Tinca tinca"), as the libraries' own lists have them. Of classes that share a name, the
    first output is the first class.

    Raises:
        LabelSpaceError: a class has no output of its name.
    """
    space = LABEL_SPACES.get(label_space)
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(_plain(name), []).append(place)
    columns = []
    taken: dict[str, int] = {}
    lacking = []
    for called in zip(*_spellings(label_space), strict=True):
        key = next((_plain(one) for one in called if _plain(one) in places), None)
        if key is None:
            lacking.append(called[0])
            continue
        turn = taken.get(key, 0)
        taken[key] = turn + 1
        columns.append(places[key][min(turn, len(places[key]) - 1)])
    if lacking or len(set(columns)) != len(space):
        raise LabelSpaceError(
            f"its {len(names)} outputs are not called like the classes of {label_space!r}"
            + (f": none is {lacking[0]!r}" if lacking else ""),
            hint="say the classes it answers in with --label-space NAME",
        )
    return tuple(columns)


def label_space_of(names: Sequence[str]) -> str | None:
    """The label space with just as many classes, each of which is the name of an output; None without one."""
    for space in LABEL_SPACES:
        if len(space) == len(names):
            try:
                columns_for(names, space.name)
            except LabelSpaceError:
                continue
            return space.name
    return None


def timm_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The data config of a timm repository, with timm's own values where it is silent."""
    from models_zoo.timm_facts import DEFAULTS

    given = config.get("pretrained_cfg", config)
    keys = ("input_size", "crop_pct", "crop_mode", "interpolation", "mean", "std")
    silent = {**DEFAULTS, "input_size": (3, *DEFAULTS["input"])}
    return {key: given.get(key) or silent[key] for key in keys}


def open_clip_preprocess(config: Mapping[str, Any]) -> Preprocess:
    """The evaluation transform of an open_clip repository.

    Raises:
        UserError: a resize that is not known here.
    """
    given = {"resize_mode": "shortest", "interpolation": "bicubic", **config.get("preprocess_cfg", {})}
    size = given.get("size") or config["model_cfg"]["vision_cfg"].get("image_size", 224)
    box = (size, size) if isinstance(size, int) else (int(size[-2]), int(size[-1]))
    modes: dict[str, dict[str, Any]] = {
        "shortest": {"resize": box[0], "crop": box},
        "squash": {"resize": box, "crop": box},
    }
    if given["resize_mode"] not in modes or (given["resize_mode"] == "shortest" and box[0] != box[1]):
        raise UserError(f"a resize of the kind {given['resize_mode']!r} to {box} is not known here")
    return Preprocess(
        **modes[given["resize_mode"]],
        interpolation=given["interpolation"],
        mean=tuple(given.get("mean") or (0.48145466, 0.4578275, 0.40821073)),
        std=tuple(given.get("std") or (0.26862954, 0.26130258, 0.27577711)),
    )


def processor_preprocess(config: Mapping[str, Any]) -> Preprocess | None:
    """The preprocess of a transformers image processor; None for one that is not known here."""
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    for ending in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        kind = kind.removesuffix(ending)
    shape = _SHAPES.get(kind)
    size = config.get("size")
    if shape is None or size is None or not config.get("do_resize", True):
        return None
    if abs(config.get("rescale_factor", 1 / 255) - 1 / 255) > 1e-9 or not config.get("do_rescale", True):
        return None
    geometry = shape(size if isinstance(size, Mapping) else {"height": size, "width": size}, config)
    if geometry is None:
        return None
    normal = config.get("do_normalize", True)
    return Preprocess(
        **geometry,
        corner="cut",
        interpolation=RESAMPLE[config.get("resample", 2)],
        mean=tuple(config.get("image_mean", MEAN)) if normal else (0.0, 0.0, 0.0),
        std=tuple(config.get("image_std", STD)) if normal else (1.0, 1.0, 1.0),
    )


def _box(size: Mapping[str, int], _: Mapping[str, Any]) -> dict[str, Any] | None:
    """The whole image, whatever its aspect, in a box."""
    if "height" not in size:
        return None
    box = (size["height"], size["width"])
    return {"resize": box, "crop": box}


def _cropped(size: Mapping[str, int], config: Mapping[str, Any]) -> dict[str, Any] | None:
    """A box or a shorter side, then a crop."""
    crop = config.get("crop_size")
    if crop is None or not config.get("do_center_crop", True):
        return _box(size, config)
    window = (crop, crop) if isinstance(crop, int) else (crop["height"], crop["width"])
    resize = size.get("shortest_edge") or (size["height"], size["width"])
    return {"resize": resize, "crop": window}


def _convnext(size: Mapping[str, int], config: Mapping[str, Any]) -> dict[str, Any] | None:
    side = size.get("shortest_edge")
    if side is None:
        return None
    if side >= WHOLE:
        return {"resize": (side, side), "crop": (side, side)}
    return {"resize": int(side / config.get("crop_pct", 224 / 256)), "crop": (side, side)}


_SHAPES = {"ViT": _box, "DeiT": _cropped, "Bit": _cropped, "CLIP": _cropped, "ConvNext": _convnext}


def _spellings(label_space: str) -> list[Sequence[str]]:
    """For each class what it may be called: names, wnids, the words of its synset."""
    space = LABEL_SPACES.get(label_space)
    known: list[Sequence[str]] = [space.class_names]
    if space.wnids is not None:
        known.append(space.wnids)
        from timm.data.imagenet_info import ImageNetInfo

        info: Any = ImageNetInfo("imagenet-1k")
        words = {wnid: info.index_to_description(place) for place, wnid in enumerate(info.label_names())}
        if all(wnid in words for wnid in space.wnids):
            # Words first: of ImageNet's class names some are the words of another class.
            known.insert(0, [words[wnid] for wnid in space.wnids])
    return known


def _plain(name: str) -> str:
    return " ".join(str(name).lower().replace("_", " ").replace("-", " ").split())
