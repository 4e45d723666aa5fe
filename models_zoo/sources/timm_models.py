"""Every model of timm: ``timm:ARCHITECTURE.TAG`` with its weights, ``timm:ARCHITECTURE`` for a user's own.

The input is prepared as the library's ``resolve_data_config`` says. ``…@288-1.0`` asks for another size of
the input and share of the crop, spelled like the entries that the published tables list at several.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from models_zoo.library_index import index
from models_zoo.spec import MODELS, HubFile, ModelSpec, Preprocess
from models_zoo.timm_facts import DEFAULTS
from models_zoo.timm_tags import history
from models_zoo.training_data import UNKNOWN
from shifts.errors import UserError
from shifts.spec import RemoteFile

PREFIX = "timm:"
NO_CLASSES = "none"  # the label space of a network without a trained head: features only
UNTRAINED_HEADS = ("fb_dino",)  # self-supervised weights that the library lists with 1,000 outputs
_CITATION = "Wightman 2019, PyTorch Image Models, doi 10.5281/zenodo.4414861"
_NAME = re.compile(r"(?P<entry>[a-z0-9_.]+?)(@(?P<size>\d+)-(?P<crop>[01](\.\d+)?))?")


def find(name: str) -> ModelSpec | None:
    """The declaration of ``timm:…``; None for a name of another kind.

    Raises:
        UserError: the library is not installed, or the size cannot be.
    """
    if not name.startswith(PREFIX):
        return None
    parsed = _NAME.fullmatch(name.removeprefix(PREFIX))
    entries = index("timm").entries
    if parsed is None or parsed["entry"] not in entries:
        return None
    entry = {**DEFAULTS, **entries[parsed["entry"]]}
    if parsed["size"] is not None:
        entry = _resized(name, entry, side=int(parsed["size"]), crop_pct=float(parsed["crop"]))
    return _declared(name, parsed["entry"], entry)


def listing() -> Iterator[ModelSpec]:
    """Every weight and every architecture that the library holds."""
    for name, entry in index("timm").entries.items():
        yield _declared(PREFIX + name, name, {**DEFAULTS, **entry})


def preprocess_of(config: Mapping[str, Any]) -> Preprocess:
    """The evaluation transform of a timm data config (``timm.data.resolve_data_config``) as data."""
    height, width = config["input_size"][-2:]
    scaled = (math.floor(height / config["crop_pct"]), math.floor(width / config["crop_pct"]))
    common: dict[str, Any] = {
        "crop": (height, width),
        "interpolation": config["interpolation"],
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
    }
    if config["crop_mode"] == "border":
        red, green, blue = (round(255 * value) for value in config["mean"])
        return Preprocess(resize=scaled, fit="contain", fill=(red, green, blue), **common)
    if config["crop_mode"] == "squash":
        return Preprocess(resize=scaled, **common)
    if scaled[0] == scaled[1]:
        return Preprocess(resize=scaled[0], **common)
    return Preprocess(resize=scaled, fit="cover", **common)


def _resized(name: str, entry: dict[str, Any], *, side: int, crop_pct: float) -> dict[str, Any]:
    if not 0 < crop_pct <= 1:
        raise UserError(f"{name!r}: the crop is a share of the resized image, above 0 and up to 1")
    if entry["fixed"] and entry["input"] != [side, side]:
        raise UserError(
            f"{name!r}: the network's input is {entry['input'][0]} pixels and cannot be changed",
            hint="leave out what follows the @",
        )
    return {**entry, "input": [side, side], "crop_pct": crop_pct}


def _declared(name: str, key: str, entry: Mapping[str, Any]) -> ModelSpec:
    from models_zoo.heads import HEADS

    architecture, _, tag = key.partition(".")
    past = history(architecture, tag)
    classes = 0 if tag in UNTRAINED_HEADS else entry["classes"]
    head = next((head.name for head in HEADS.values() if head.outputs == classes), None)
    fits = classes == 1000 or head is not None or not tag  # a user's own weights have a head
    height, width = entry["input"]
    seen = " → ".join(past.training_data) if tag else "weights of your own"
    outputs = "" if classes == 1000 or not tag else f"; {classes:,} outputs" if classes else "; features only"
    notes = () if fits else ("no classes: a head that is not mapped to a label space, or none",)
    papers = f"; {entry['papers']}" if entry["papers"] else ""
    return ModelSpec(
        name=name,
        title=f"{architecture}, {height} × {width}: {seen}{outputs}",
        label_space="imagenet-1k" if fits else NO_CLASSES,
        head=head if tag else None,
        preprocess=preprocess_of({**entry, "input_size": (3, height, width)}),
        family=past.family if tag else "unknown",
        training_data=past.training_data if tag else (UNKNOWN,),
        loader="models_zoo.timm_loading:load",
        weights=_weights(key, entry),
        arguments={"model": key, "outputs": entry["classes"]},
        parameters=entry["parameters"] if tag or classes == 1000 else None,
        licence=(entry["licence"] or "not stated by timm") if tag else "Apache-2.0 (code)",
        citation=_CITATION + papers,
        source=entry["origin"] or f"https://huggingface.co/timm/{key}",
        suite="imagenet" if fits else "",
        notes=notes,
    )


def _weights(key: str, entry: Mapping[str, Any]) -> HubFile | RemoteFile:
    if "." not in key:
        default = f"; timm's own are {PREFIX}{entry['default']}" if entry["default"] else ""
        return RemoteFile(
            filename="weights.safetensors", how=f"give your weights with --weights FILE{default}"
        )
    if entry["hub"] != "":
        return HubFile(repo=entry["hub"] or f"timm/{key}")
    filename = entry["url"].rpartition("/")[2]
    prefix = re.search(r"-([0-9a-f]{8,})\.", filename)
    return RemoteFile(filename=filename, urls=(entry["url"],), sha256_prefix=prefix and prefix[1])


MODELS.add_resolver(find, listing=listing, prefix=PREFIX)
