"""The models of the study ``interventions``: two starts, and what is done against the shortcut."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmark.studies.synthetic_suites import SUITES as SYNTHETIC
from benchmark.studies.synthetic_suites import Pool, Sizes, Start, Suite
from models_zoo.recipe import Augmentation

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job
    from models_zoo.spec import ModelSpec

STARTS = ("scratch", "pre-trained")
NONE, BALANCING = "none", "balancing"
P_SPURIOUS = 0.8
# Both published forms of DFR; the penalty of the weighted one is on the sum over examples, so that a set of a
# few hundred needs a weaker one than the paper's 0.001.
FORMS: Mapping[str, dict[str, Any]] = {
    "dfr": {"published": "kirichenko"},
    "weighted dfr": {"published": "cohen-wang", "c": 0.1},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is compared on a suite.

    Attributes:
        suite: scratch models, what is pre-trained on and how it is tuned; one reference.
        reference, shift: what the line and the numbers are about; ``others`` are measured, too.
        held_out: what DFR refits the last layer on, by the groups of ``grouped_by``.
        balanced: the distribution without the shortcut that balancing trains on, or None.
        forms: of DFR.
        metric: of the numbers on the shift.
    """

    suite: Suite
    sizes: Sizes
    reference: str
    shift: str
    others: tuple[str, ...] = ()
    held_out: Pool
    grouped_by: tuple[str, ...] = ()
    balanced: str | None = None
    forms: Mapping[str, dict[str, Any]] = field(default_factory=lambda: dict(FORMS))
    metric: str = "accuracy"
    method: str = "lp-ft"
    name: str

    @property
    def interventions(self) -> tuple[str, ...]:
        """Their names."""
        return (*((BALANCING,) if self.balanced else ()), *self.forms)


def _tint_and_pad(name: str, base: str, *, scratch: str, held_out: Pool, **changes: Any) -> Plan:
    """Appendix C.3.1 on a suite: tints that go with the class, against random tints and a border."""
    reference = f"{base}-tinted-{P_SPURIOUS:g}"
    shift, others = f"{base}/tint-and-pad", (f"{base}/spurious-tint/{P_SPURIOUS:g}",)
    origin = SYNTHETIC[name]
    suite = dataclasses.replace(
        origin,
        shifts={reference: (shift, *others)},
        scratch={reference: f"{scratch}@on-{reference}"},
        arms={
            STARTS[1]: tuple(dataclasses.replace(one, methods=("lp-ft",)) for one in origin.arms[STARTS[1]])
        },
        smoke=(reference,),
        **changes,
    )
    return Plan(
        name=f"interventions-{name}",
        suite=suite,
        sizes=dataclasses.replace(suite.sizes, checkpoints=()),
        reference=reference,
        shift=shift,
        others=others,
        held_out=held_out,
        grouped_by=("tint",),
        balanced=f"{base}/unseen-tint",
    )


def _digits() -> Plan:
    # Four tenths of the pool are held out.
    return _tint_and_pad(
        "digits",
        "digits",
        scratch="digits-cnn",
        held_out=Pool(shift=f"digits-tinted-{P_SPURIOUS:g}", split="pretrain", part=(0.6, 1.0)),
        pool=(Pool(shift="digits", split="pretrain", part=(0.0, 0.6)),),
    )


def _cifar10() -> Plan:
    base = "cifar10-compressed"
    return _tint_and_pad(
        "cifar10",
        base,
        scratch="cifar10-cnn16",
        held_out=Pool(shift=f"{base}-tinted-{P_SPURIOUS:g}", split="train", part=(0.8, 1.0)),
    )


def _fmow() -> Plan:
    """Section 6 and Appendix B.5, at the paper's scale."""
    scratch = "fmow-resnet50-scratch"
    suite = Suite(
        shifts={"fmow": ("fmow/test",)},
        scratch={"fmow": scratch},
        arms={STARTS[1]: (Start(model="clip-rn50", methods=("lp-ft",)),)},
        smoke=("fmow",),
        noise=(Augmentation(function="models_zoo.augmentations:crop_and_flip", parameters={"pad": 0}),),
        sizes=Sizes(
            shares=tuple(range(25, 101, 5)), checkpoints=(), probe=8, tune=16, probe_rate=1e-3,
            tune_rate=1e-4, batch_size=512,
        ),
        small=Sizes(shares=(25, 50, 75, 100), checkpoints=(), scratch=1, probe=1, tune=1),
    )  # fmt: skip
    return Plan(
        name="interventions-fmow",
        suite=suite,
        sizes=suite.sizes,
        reference="fmow",
        shift="fmow/test",
        held_out=Pool(shift="fmow/val", split="val"),
        grouped_by=("region",),
        forms={"dfr": {"published": "kirichenko"}, "weighted dfr": {"published": "cohen-wang"}},
        metric="worst_group_accuracy",
    )


SUITES = {"digits": _digits(), "cifar10": _cifar10(), "fmow": _fmow()}


def cells(plan: Plan) -> Iterator[tuple[str, str]]:
    """Every start with every intervention, and with none."""
    return ((start, one) for start in STARTS for one in (NONE, *plan.interventions))


def cell_name(plan: Plan, start: str, intervention: str, *, seed: int) -> str:
    """What the model of a combination is called."""
    return _models(plan, seed=seed)[start, intervention].name


def line_names(plan: Plan, *, seed: int) -> list[str]:
    """The scratch models of a seed, on shares of the data."""
    from benchmark.studies.synthetic_models import scratch_model

    return [
        scratch_model(plan.suite, plan.sizes, reference=plan.reference, share=share, seed=seed).name
        for share in plan.sizes.shares
    ]


def intervention_jobs(plan: Plan, *, seed: int) -> list[Job]:
    """Everything that is trained and measured for a seed."""
    from benchmark.studies.measuring import Job
    from benchmark.studies.synthetic_models import measured_on, scratch_jobs, start_model

    (arm,) = plan.suite.arms.values()
    start = start_model(plan.suite, plan.sizes, name=plan.name, arm=STARTS[1], start=arm[0], seed=seed)
    jobs = [Job(spec=start)] if start.recipe is not None else []
    jobs += scratch_jobs(plan.suite, plan.sizes, seed=seed)
    trained = {job.spec.name for job in jobs}
    shifts = measured_on(plan.suite, plan.reference, (plan.shift, *plan.others))
    models = _models(plan, seed=seed).values()
    return jobs + [Job(spec=spec, shifts=shifts) for spec in models if spec.name not in trained]


def _models(plan: Plan, *, seed: int) -> dict[tuple[str, str], ModelSpec]:
    from benchmark.studies.synthetic_models import scratch_model

    plain = {
        STARTS[0]: scratch_model(plan.suite, plan.sizes, reference=plan.reference, share=100, seed=seed),
        STARTS[1]: _tuned(plan, seed=seed),
    }
    found = {(start, NONE): spec for start, spec in plain.items()}
    if plan.balanced is not None:
        model, _, _ = plan.suite.scratch[plan.reference].partition("@on-")
        suite = dataclasses.replace(plan.suite, scratch={plan.balanced: f"{model}@on-{plan.balanced}"})
        found[STARTS[0], BALANCING] = scratch_model(
            suite, plan.sizes, reference=plan.balanced, share=100, seed=seed
        )
        found[STARTS[1], BALANCING] = _tuned(plan, seed=seed, on=plan.balanced)
    for start, spec in plain.items():
        for form, said in plan.forms.items():
            found[start, form] = _refitted(plan, start, spec, form=form, said=said, seed=seed)
    return found


def _tuned(plan: Plan, *, seed: int, on: str | None = None) -> ModelSpec:
    """The pre-trained model, tuned to the reference or to the distribution without the shortcut."""
    from benchmark.studies.synthetic_models import stages_of, start_model
    from models_zoo.tuning.tuned import tuned

    (arm,) = plan.suite.arms.values()
    start = start_model(plan.suite, plan.sizes, name=plan.name, arm=STARTS[1], start=arm[0], seed=seed)
    suffix = BALANCING if on else NONE
    return tuned(
        start,
        stages_of(plan.method, plan.suite, plan.sizes, reference=on or plan.reference),
        name=f"study-{plan.name}-{STARTS[1]}-{suffix}-{seed}",
        seed=seed,
        **_how(plan),
    )


def _refitted(
    plan: Plan, start: str, origin: ModelSpec, *, form: str, said: Mapping[str, Any], seed: int
) -> ModelSpec:
    """A model with its last layer refitted on the held-out part."""
    from models_zoo.tuning.dfr import dfr
    from models_zoo.tuning.tuned import tuned

    held = plan.held_out
    stage = dfr(held.shift, split=held.split, part=held.part, grouped_by=plan.grouped_by, **said)
    name = f"study-{plan.name}-{start}-{form.replace(' ', '-')}-{seed}"
    return tuned(origin, [stage], name=name, seed=seed, **_how(plan))


def _how(plan: Plan) -> dict[str, Any]:
    from models_zoo.recipe import recipe_of
    from models_zoo.spec import MODELS

    recipe = recipe_of(MODELS.get(plan.suite.scratch[plan.reference]))
    return {"accelerator": recipe.accelerator, "threads": recipe.threads}
