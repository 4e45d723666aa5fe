"""open_clip's table of zero-shot accuracies: 80 templates and OpenAI's class names on ImageNet."""

from __future__ import annotations

from pathlib import Path

from benchmark.baselines.sources.tables import PROTOCOLS, SIZES, read_table
from benchmark.baselines.table import Baseline, BaselineRow, MemberRule

REVISION = "89fb801f1e6087880e951fc8354b8a2077b79c6d"
COLUMNS = {
    "ImageNet 1k": "imagenet-val",
    "ImageNet v2": "imagenet-v2",
    "ImageNet Sketch": "imagenet-sketch",
    "ImageNet-A": "imagenet-a",
    "ImageNet-R": "imagenet-r",
    "ObjectNet": "objectnet",
    "CIFAR-10": "cifar10",
}
# Beginning of a weight tag → training data; the longest that fits.
TRAINING_DATA = {
    "openai": ("openai-wit",),
    "laion400m": ("laion-400m",),
    "laion2b": ("laion-2b",),
    "mscoco_finetuned_laion2b": ("laion-2b", "mscoco"),
    "laion5b": ("laion-5b",),
    "frozen_laion5b": ("laion-5b",),
    "laion_aesthetic": ("laion-aesthetic",),
    "datacomp": ("datacomp-1b",),
    "datacomp_l": ("datacomp-large",),
    "datacomp_m": ("datacomp-medium",),
    "datacomp_s_": ("datacomp-small",),
    "commonpool_xl": ("commonpool-xlarge",),
    "commonpool_l": ("commonpool-large",),
    "commonpool_m": ("commonpool-medium",),
    "commonpool_s": ("commonpool-small",),
    "dfn2b": ("dfn-2b",),
    "dfn5b": ("dfn-5b",),
    "metaclip_400m": ("metaclip-400m",),
    "metaclip_fullcc": ("metaclip-2.5b",),
    "merged2b": ("merged-2b",),
    "webli": ("webli",),
    "v1": ("datacomp-1b",),
    "cc12m": ("cc12m",),
    "yfcc15m": ("yfcc15m",),
}


def training_data_of(tag: str) -> tuple[str, ...]:
    """What the weights with a tag have seen.

    Raises:
        KeyError: a tag that is not known.
    """
    fitting = [start for start in TRAINING_DATA if tag.startswith(start)]
    if not fitting:
        raise KeyError(f"no training data known for the weights {tag!r}")
    return TRAINING_DATA[max(fitting, key=len)]


def build(folder: Path) -> Baseline:
    """The baseline, from ``open_clip/openclip_results.csv``."""
    rows = []
    for line in read_table(folder / "open_clip" / "openclip_results.csv"):
        for column, shift in COLUMNS.items():
            masked = PROTOCOLS.get(shift)
            rows.append(
                BaselineRow(
                    model=f"{line['name']}:{line['pretrained']}",
                    library_key=f"open_clip:{line['name']}:{line['pretrained']}",
                    shift=shift,
                    protocol=f"zero-shot; {masked}" if masked else "zero-shot; all classes",
                    accuracy=float(line[column]),
                    n=SIZES[shift],
                    family="zero-shot",
                    training_data=training_data_of(line["pretrained"]),
                    kind_of_number="measured",
                    publisher="mlfoundations/open_clip",
                    revision=REVISION,
                )
            )
    return Baseline(
        name="open-clip",
        version=1,
        title="open_clip: 121 zero-shot models",
        source="https://github.com/mlfoundations/open_clip, docs/openclip_results.csv",
        revision=REVISION,
        licence="MIT",
        citation="Ilharco et al. 2021, doi 10.5281/zenodo.5143773; Cherti et al. 2023, arXiv 2212.07143",
        default_members=MemberRule(families=("zero-shot",)),
        regenerate="python -m benchmark.baselines.build TABLES -o FOLDER --only open-clip",
        references=("imagenet-val",),
        precedence=1,
        rows=tuple(rows),
    )
