"""Real handwriting that every installation brings along: scikit-learn's copy of the UCI digits.

1,797 images of 8 × 8 pixels, enlarged to 16 × 16 RGB. No flips and no large rotations: they change what a
digit means (6 and 9, 2 and 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.errors import DataNotFoundError
from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.perturbations.severities import corruption
from shifts.spec import SHIFTS, SOURCES, ImageSource, Perturbation, Selection, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from shifts.data import Examples

LABEL_SPACES.register(
    LabelSpace(
        name="digits",
        class_names=tuple("0123456789"),
        templates=('a photo of the number: "{}".', "a handwritten digit {}."),
    )
)

SOURCES.register(
    ImageSource(
        name="digits",
        title="UCI handwritten digits as bundled with scikit-learn",
        label_space="digits",
        counts={
            "pretrain": (70, 70, 70, 70, 70, 70, 70, 70, 70, 70),
            "train": (50, 50, 50, 50, 50, 50, 50, 50, 50, 50),
            "test": (58, 62, 57, 63, 61, 62, 61, 59, 54, 60),
        },
        licence="CC-BY-4.0",
        citation="Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning "
        "Repository, 1998, doi:10.24432/C50P49",
        homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        loader="shifts.sources.digits:load",
        bundled=True,
        content={
            "pretrain": "5e0ec6796c92d3c897f6b7df31bc00e09738bbde31cf9f419c6cef3ed8af4843",
            "train": "a5c488f799aca90ca794251403ed5d6180c2be01dd566a96f2fd9ef35ad68ce4",
            "test": "70a3b0668f745f7191c93a8257acdc4d3b60c35f9cfbb61f1c0a10468557e0dd",
        },
        notes="The test set of the UCI collection only; 16 × 16 by bilinear enlargement.",
    )
)

_SYNTHETIC = "shifts.perturbations.synthetic"


def _tint(p: float) -> Perturbation:
    return Perturbation(
        function=f"{_SYNTHETIC}:tint",
        parameters={"p": p, "alpha": 0.25, "palette_seed": 0},
        uses_labels=p > 0,
        groups={"tint": f"{_SYNTHETIC}:tint_agrees"},
    )


def _label_shift(side: str) -> Selection:
    return Selection(
        function="shifts.perturbations.selections:label_shift", parameters={"p_minority": 0.2, "side": side}
    )


_COMMON: dict[str, Any] = {"source": "digits", "split": "test", "label_space": "digits"}
_PAPER = "Cohen-Wang, Vendrow and Madry, arXiv 2403.00194, section 5.1"

SHIFTS.register(
    ShiftSpec(
        name="digits",
        title="handwritten digits",
        kind="reference",
        support="in",
        groups=("class",),
        **_COMMON,
    ),
    ShiftSpec(
        name="digits/unseen-tint",
        title="every image tinted in a random colour",
        kind="synthetic",
        support="out",
        reference="digits",
        perturbations=(_tint(0.0),),
        groups=("class",),
        citation=_PAPER,
        **_COMMON,
    ),
    ShiftSpec(
        name="digits/pad",
        title="3 black pixels on each side, scaled back",
        kind="synthetic",
        support="out",
        reference="digits",
        perturbations=(Perturbation(function=f"{_SYNTHETIC}:pad", parameters={"pixels": 3}),),
        groups=("class",),
        citation=_PAPER,
        **_COMMON,
    ),
    ShiftSpec(
        name="digits/translate",
        title="moved by 2 pixels down and 3 to the right",
        kind="synthetic",
        support="out",
        reference="digits",
        perturbations=(Perturbation(function=f"{_SYNTHETIC}:translate", parameters={"down": 2, "right": 3}),),
        groups=("class",),
        **_COMMON,
    ),
    *(
        ShiftSpec(
            name=f"digits/{name}/{severity}",
            title=f"{name.replace('-', ' ')}, severity {severity}",
            kind="corruption",
            support="out",
            reference="digits",
            perturbations=(corruption(name, severity, "digits"),),
            groups=("class",),
            severity=severity,
            citation="after Hendrycks and Dietterich, arXiv 1903.12261, scaled to 16 × 16 pixels",
            **_COMMON,
        )
        for name in (
            "gaussian-noise",
            "impulse-noise",
            "gaussian-blur",
            "contrast",
            "brightness",
            "pixelate",
            "occlusion",
        )
        for severity in range(1, 6)
    ),
    ShiftSpec(
        name="digits-tinted",
        title="digits in the colour of their class (p = 0.5) or of a random one",
        kind="reference",
        support="in",
        perturbations=(_tint(0.5),),
        groups=("class", "tint"),
        citation=_PAPER,
        **_COMMON,
    ),
    ShiftSpec(
        name="digits/spurious-tint",
        title="the same tints, independent of the class",
        kind="spurious",
        support="in",
        reference="digits-tinted",
        perturbations=(_tint(0.0),),
        groups=("class", "tint"),
        notes="In digits-tinted colour predicts the class; the images are those of digits/unseen-tint.",
        citation=_PAPER,
        **_COMMON,
    ),
    ShiftSpec(
        name="digits-imbalanced",
        title="digits with five classes four times rarer than the others",
        kind="reference",
        support="in",
        selection=_label_shift("reference"),
        groups=("class",),
        citation=_PAPER,
        **_COMMON,
    ),
    ShiftSpec(
        name="digits/label-shift",
        title="rare and frequent classes exchanged",
        kind="synthetic",
        support="in",
        reference="digits-imbalanced",
        selection=_label_shift("shifted"),
        groups=("class",),
        citation=_PAPER,
        **_COMMON,
    ),
)


def load(root: Path | None, split: str) -> Examples:
    """Split each class by a hash of the example's number: 70 to pre-train, 50 to train, the rest to test."""
    import numpy as np

    from shifts.data import Examples, hash_rank

    table = np.loadtxt(_bundled_file(), delimiter=",", dtype=np.int64)
    pixels, labels = table[:, :-1].reshape(-1, 8, 8), table[:, -1]
    ids = [f"{index:04d}" for index in range(len(labels))]
    members = []
    for label in range(10):
        of_class = np.flatnonzero(labels == label)
        order = of_class[hash_rank([ids[index] for index in of_class.tolist()], "digits split")]
        members.append({"pretrain": order[:70], "train": order[70:120], "test": order[120:]}[split])
    chosen = np.sort(np.concatenate(members))
    grey = np.rint(_enlarge(pixels[chosen].astype(np.float64)) * (255.0 / 16.0)).astype(np.uint8)
    return Examples(
        payloads=np.repeat(grey[..., None], 3, axis=-1),
        labels=labels[chosen],
        ids=[ids[index] for index in chosen.tolist()],
    )


def _bundled_file() -> Path:
    """scikit-learn's file, found without importing scikit-learn, which takes longer than all the rest."""
    from importlib.util import find_spec
    from pathlib import Path

    package = find_spec("sklearn")
    roots = (package.submodule_search_locations or []) if package is not None else []
    for root in roots:
        path = Path(root) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            return path
    raise DataNotFoundError(
        "the digits that scikit-learn bundles are not there",
        hint="pip install --force-reinstall scikit-learn",
    )


def _enlarge(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Twice the size, bilinear with half-pixel centres: exact in binary arithmetic, so equal anywhere."""
    import numpy as np

    for axis in (1, 2):
        images = np.moveaxis(images, axis, -1)
        before = np.concatenate([images[..., :1], images[..., :-1]], axis=-1)
        after = np.concatenate([images[..., 1:], images[..., -1:]], axis=-1)
        pair = np.stack([0.25 * before + 0.75 * images, 0.75 * images + 0.25 * after], axis=-1)
        images = np.moveaxis(pair.reshape(*images.shape[:-1], -1), -1, axis)
    return images
