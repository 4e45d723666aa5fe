"""In support or out of support: a shift's examples split by how dense the reference is around them.

Cohen-Wang et al. 2024, arXiv 2403.00194, Section 5.2 and Appendix B.4: a classifier tells reference from
shifted examples; each example is scored by one that has not seen it; one temperature makes the scores
probabilities; with p(reference | x) / p(shift | x), corrected for the sizes of the two sets, below a
threshold (0.2 in the text, 0.1 in the released notebook) an example is out of support.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shifts.data import Rows, hash_rank
from shifts.digest import digest
from shifts.errors import CorruptDataError, DataNotFoundError, UserError
from shifts.local import cache_home, write_atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

THRESHOLD = 0.2
FOLDS = 10
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
IN, OUT = "in-support", "out-of-support"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DensityRatio:
    """How much denser the reference is than the shift around every example.

    Attributes:
        reference, shift: float64 (R,) and (S,), p(x | reference) / p(x | shift).
        reference_logits, shift_logits: calibrated out-of-fold logits of "is from the shift".
        temperature: the factor that calibrated them; below 1 the classifiers were too sure.
        strength: inverse regularisation of the classifiers, or the learning rate of fine-tuned ones.
    """

    reference: Floats
    shift: Floats
    reference_logits: Floats
    shift_logits: Floats
    temperature: float
    strength: float

    def in_support(self, threshold: float = THRESHOLD) -> NDArray[np.bool_]:
        """Which examples of the shift are in support: bool (S,)."""
        inside: NDArray[np.bool_] = self.shift >= threshold
        return inside


def density_ratio(
    reference: NDArray[np.floating],
    shift: NDArray[np.floating],
    *,
    reference_ids: Sequence[str],
    shift_ids: Sequence[str],
    folds: int = FOLDS,
    seed: int = 0,
    strength: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DensityRatio:
    """Estimate the density ratio from features by cross-validated logistic regression.

    The folds depend on ids and seed alone, and examples of one id (an image and its perturbed copy) are in
    one fold: otherwise a classifier would be asked about an image that it knows.

    Args:
        reference, shift: features (R, D) and (S, D).
        reference_ids, shift_ids: R and S strings.
        strength: inverse regularisation on standardised features; None takes the one with the least
            cross-entropy on the first fold, after its temperature. (The paper chooses its learning rate by
            AUROC; where much of the shift is in support that hardly differs, and ratios do.)
        progress: called with (fits done, fits in all).

    Raises:
        UserError: fewer examples than folds, or features that are not numbers.
    """
    inputs = np.concatenate([reference, shift]).astype(np.float64)
    target = np.repeat([0, 1], [len(reference), len(shift)])
    if not np.isfinite(inputs).all():
        raise UserError("features hold values that are not numbers", hint="look at the model's weights")
    spread = inputs.std(axis=0)
    inputs = (inputs - inputs.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    return cross_validated_ratio(
        lambda train, test, c: _scores(inputs[train], target[train], inputs[test], c=c),
        reference_ids=reference_ids,
        shift_ids=shift_ids,
        settings=STRENGTHS if strength is None else (strength,),
        folds=folds,
        seed=seed,
        progress=progress,
    )


def cross_validated_ratio(
    score: Callable[[NDArray[np.bool_], NDArray[np.bool_], float], Floats],
    *,
    reference_ids: Sequence[str],
    shift_ids: Sequence[str],
    settings: Sequence[float],
    folds: int = FOLDS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> DensityRatio:
    """Estimate the density ratio by any classifiers that tell reference from shift.

    Args:
        score: called with (bool (N,), examples to train on; bool (N,), examples to score; a setting), gives
            the logits of "is from the shift" of the latter; the N = R + S examples are those of the reference
            and then those of the shift.
        settings: of the classifiers; several are tried on the first fold as in ``density_ratio``, and of
            equally good ones the smallest is taken.

    Raises:
        UserError: fewer examples than folds.
    """
    sizes = len(reference_ids), len(shift_ids)
    target = np.repeat([0, 1], sizes)
    if min(sizes) < folds or folds < 2:
        raise UserError(
            f"{sizes[0]} reference and {sizes[1]} shifted examples do not make {folds} folds",
            hint="two folds or more, each with examples of both",
        )
    fold = _folds([*reference_ids, *shift_ids], folds=folds, seed=seed)
    several = len(settings) > 1
    total, done = (len(settings) if several else 0) + folds, 0

    def fitted(held_out: int, setting: float) -> Floats:
        nonlocal done
        scores = score(fold != held_out, fold == held_out, setting)
        done += 1
        if progress is not None:
            progress(done, total)
        return scores

    chosen = settings[0]
    if several:
        first = target[fold == 0]
        loss = {one: _calibrated_loss(fitted(0, one), first) for one in settings}
        chosen = min(one for one in settings if loss[one] <= min(loss.values()) + 1e-9)
    logits = np.empty(len(target))
    for held_out in range(folds):
        logits[fold == held_out] = fitted(held_out, chosen)
    temperature = calibrate(logits, target)
    logits *= temperature
    ratio = np.exp(np.clip(-logits, -700, 700)) * (sizes[1] / sizes[0])
    return DensityRatio(
        reference=ratio[: sizes[0]],
        shift=ratio[sizes[0] :],
        reference_logits=logits[: sizes[0]],
        shift_logits=logits[sizes[0] :],
        temperature=temperature,
        strength=chosen,
    )


def calibrate(logits: Floats, target: NDArray[np.int64]) -> float:
    """The factor on logits that minimises the binary cross-entropy.

    Args:
        logits: float64 (N,).
        target: 0 or 1, (N,).

    >>> round(calibrate(np.array([4.0, 4.0, 4.0, 4.0]), np.array([1, 1, 1, 0])), 4)  # 4 a = log 3
    0.2747
    """
    from scipy.optimize import minimize_scalar

    signed = np.where(target == 1, logits, -logits)
    found = minimize_scalar(
        lambda power: float(np.logaddexp(0.0, -math.exp(power) * signed).mean()),
        bounds=(math.log(1e-3), math.log(1e2)),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return math.exp(float(found.x))


def _calibrated_loss(logits: Floats, target: NDArray[np.int64]) -> float:
    signed = np.where(target == 1, logits, -logits)
    return float(np.logaddexp(0.0, -calibrate(logits, target) * signed).mean())


def difficulty_weights(difficulty: NDArray[np.int64], inside: NDArray[np.bool_]) -> Floats:
    """Weights that give the out-of-support examples the difficulties of the in-support ones.

    The control of Appendix C.2.4: difficulty is the number of baseline models that are wrong, and an example
    of difficulty d weighs p_in(d) / p_out(d).

    Args:
        difficulty: int (S,), 0 … number of models.
        inside: bool (S,).

    Returns:
        float64 for the out-of-support examples, with mean 1; a difficulty that no in-support example has gets
        weight 0.

    Raises:
        UserError: a side is empty, or the two have no difficulty in common.
    """
    if inside.all() or not inside.any():
        raise UserError("re-weighting needs examples in support and out of support")
    levels = int(difficulty.max()) + 1
    within = np.bincount(difficulty[inside], minlength=levels) / inside.sum()
    beyond = np.bincount(difficulty[~inside], minlength=levels) / (~inside).sum()
    ratio = np.divide(within, beyond, out=np.zeros(levels), where=beyond > 0)
    weights: Floats = ratio[difficulty[~inside]]
    if not weights.any():
        raise UserError(
            "no out-of-support example is as hard as an in-support one: nothing can be re-weighted"
        )
    weights /= weights.mean()
    return weights


def keep(
    shift: str, ids: Sequence[str], ratio: Floats, *, threshold: float, made_with: dict[str, Any]
) -> Path:
    """Remember a split, so that ``NAME/in-support`` and ``NAME/out-of-support`` are shifts.

    Args:
        ids, ratio: S examples with their density ratios.
        made_with: model, digests, folds, seed: what the split came from.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "shift": shift,
        "threshold": threshold,
        "made_with": made_with,
        "ids": list(ids),
        "ratio": [float(f"{value:.6g}") for value in ratio],
    }
    path = split_file(shift)
    write_atomic(path, json.dumps({**content, "digest": digest(content)}))
    return path


def split_file(shift: str) -> Path:
    """Where the split of a shift is remembered."""
    return cache_home() / "support" / f"{shift.replace('/', '--')}.json"


def kept(shift: str) -> dict[str, Any]:
    """The split that ``keep`` remembered.

    Raises:
        DataNotFoundError: there is none; says how to make it.
        CorruptDataError: the file was changed or damaged.
    """
    path = split_file(shift)
    again = f"robustbench-shift diagnose --shift {shift} --model MODEL"
    if not path.is_file():
        raise DataNotFoundError(f"{shift!r} has not been split into halves yet", hint=again)
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        recorded = document.pop("digest")
        intact = digest(document) == recorded and document["schema_version"] == SCHEMA_VERSION
    except (ValueError, KeyError, AttributeError):
        intact = False
    if not intact:
        raise CorruptDataError(f"{path} is damaged or of another version", hint=again)
    return {**document, "digest": recorded}


def half(rows: Rows, *, shift: str, split: str, side: str) -> NDArray[np.int64]:
    """Selection rule: the examples of one half of a remembered split.

    Raises:
        UserError: the shift has been split anew since, or the split does not know an example.
    """
    document = kept(shift)
    if document["digest"] != split:
        raise UserError(f"{shift!r} has been split anew in the meantime", hint="run the command again")
    ratio = dict(zip(document["ids"], document["ratio"], strict=True))
    unknown = next((name for name in rows.ids if name not in ratio), None)
    if unknown is not None:
        raise UserError(
            f"the split of {shift!r} does not know the example {unknown!r}: it was made on other images",
            hint=f"robustbench-shift diagnose --shift {shift} --model MODEL",
        )
    inside = np.array([ratio[name] >= document["threshold"] for name in rows.ids])
    return np.flatnonzero(inside if side == IN else ~inside)


def _folds(ids: Sequence[str], *, folds: int, seed: int) -> NDArray[np.int64]:
    distinct = sorted(set(ids))
    order = hash_rank(distinct, seed, "support folds")
    place = {distinct[index]: rank % folds for rank, index in enumerate(order.tolist())}
    return np.array([place[name] for name in ids], dtype=np.int64)


def _scores(train: Floats, target: NDArray[np.int64], test: Floats, *, c: float) -> Floats:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, max_iter=5000, tol=1e-6)
    scores: Floats = model.fit(train, target).decision_function(test)
    return scores
