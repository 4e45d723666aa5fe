"""The models of the study ``synthetic-sweeps``: strengths of a bias, and settings of fine-tuning."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.studies.synthetic_suites import SUITES as SYNTHETIC
from benchmark.studies.synthetic_suites import Sizes, Suite

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job
    from models_zoo.spec import ModelSpec

ARM = "pre-trained"
METHOD, TUNED = "lp-ft", "zs-ft"  # at the strengths, and in the sweep of settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """A bias that comes in strengths.

    Attributes:
        reference, shift: names, with the strength put in place of ``{}``; the default has none.
        values: the strengths, the default among them.
        none: those at which the paper sees no effective robustness (Appendix C.1.2).
    """

    reference: str
    shift: str
    values: tuple[float, ...]
    none: tuple[float, ...]
    default: float

    def names(self, value: float) -> tuple[str, str]:
        """Reference and shift of a strength."""
        if value == self.default:
            return self.reference.removesuffix("-{}"), self.shift.removesuffix("/{}")
        return self.reference.format(f"{value:g}"), self.shift.format(f"{value:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is swept on a suite.

    Attributes:
        suite: of ``synthetic-shifts``, whose models are used where they are the same.
        biases: name → bias.
        scratch: the model whose variants are trained on other strengths.
        settings: what of ``Sizes`` is varied, one at a time, from what the suite has.
        inside, outside: reference and shift that the settings are tried on, in support and out of it.
    """

    name: str
    suite: Suite
    sizes: Sizes
    biases: Mapping[str, Bias]
    scratch: str
    settings: Mapping[str, tuple[Any, ...]]
    inside: tuple[str, str]
    outside: tuple[str, str]

    def variations(self) -> dict[str, Sizes]:
        """Name of a setting → sizes; first as the suite has it."""
        found = {"as it is": self.sizes}
        for key, values in self.settings.items():
            for value in values:
                if value != getattr(self.sizes, key):
                    found[f"{key.replace('_', ' ')} {value:g}"] = dataclasses.replace(
                        self.sizes, **{key: value}
                    )
        return found


def _plan(name: str, base: str, scratch: str, *, outside: str, settings: Mapping[str, Any]) -> Plan:
    suite = SYNTHETIC[name]
    return Plan(
        name=name,
        suite=suite,
        sizes=dataclasses.replace(suite.sizes, checkpoints=()),
        biases={
            "spurious tint": Bias(
                reference=f"{base}-tinted-{{}}",
                shift=f"{base}/spurious-tint/{{}}",
                values=(0.5, 0.6, 0.7, 0.8, 0.9),
                none=(0.5, 0.6, 0.7, 0.8),
                default=0.5,
            ),
            "label shift": Bias(
                reference=f"{base}-imbalanced-{{}}",
                shift=f"{base}/label-shift/{{}}",
                values=(0.1, 0.15, 0.2, 0.25, 0.3),
                none=(0.2, 0.25, 0.3),
                default=0.2,
            ),
        },
        scratch=scratch,
        settings=settings,
        inside=(f"{base}-tinted", f"{base}/spurious-tint"),
        outside=(base, f"{base}/{outside}"),
    )


SUITES = {
    "digits": _plan(
        "digits",
        "digits",
        "digits-cnn",
        outside="pad",
        settings={
            "tune_rate": (1e-2, 3e-3, 3e-4, 1e-4, 1e-5),
            "tune": (1, 2, 5, 10, 40),
            "batch_size": (16, 256),
            "weight_decay": (0.0, 0.01),
        },
    ),
    "cifar10": _plan(
        "cifar10",
        "cifar10-compressed",
        "cifar10-cnn16",
        outside="vertical-flip",
        settings={
            "tune_rate": (1e-2, 3e-3, 3e-4, 1e-4, 1e-5),
            "tune": (1, 4),
            "batch_size": (16, 256),
            "weight_decay": (0.0, 0.01),
        },
    ),
}


def with_bias(plan: Plan, bias: str, value: float) -> Suite:
    """The suite with the reference of one strength alone."""
    reference, shift = plan.biases[bias].names(value)
    known = plan.suite.scratch.get(reference)
    return dataclasses.replace(
        plan.suite,
        shifts={reference: (shift,)},
        scratch={reference: known or f"{plan.scratch}@on-{reference}"},
        arms={ARM: plan.suite.arms[ARM]},
        smoke=(reference,),
    )


def tried_on(plan: Plan, pair: tuple[str, str]) -> Suite:
    """The suite with one reference and one of its shifts alone."""
    reference, shift = pair
    return dataclasses.replace(
        plan.suite,
        shifts={reference: (shift,)},
        scratch={reference: plan.suite.scratch[reference]},
        arms={ARM: plan.suite.arms[ARM]},
        smoke=(reference,),
    )


def setting_model(plan: Plan, pair: tuple[str, str], setting: str, *, seed: int) -> ModelSpec:
    """The pre-trained model, tuned from its own head in one setting."""
    from benchmark.studies.synthetic_models import stages_of, start_model
    from models_zoo.recipe import recipe_of
    from models_zoo.spec import MODELS
    from models_zoo.tuning.tuned import tuned

    sizes = plan.variations()[setting]
    (start,) = plan.suite.arms[ARM]
    origin = start_model(plan.suite, plan.sizes, name=plan.name, arm=ARM, start=start, seed=seed)
    stages = tuple(
        dataclasses.replace(stage, warmup_epochs=stage.epochs / 8)  # Appendix C.1.1
        for stage in stages_of(TUNED, plan.suite, sizes, reference=pair[0])
    )
    of_base = recipe_of(MODELS.get(plan.suite.scratch[pair[0]]))
    return tuned(
        origin,
        stages,
        name=f"study-sweeps-{plan.name}-{setting.replace(' ', '-')}-on-{pair[0]}-{seed}",
        seed=seed,
        accelerator=of_base.accelerator,
        threads=of_base.threads,
    )


def sweep_jobs(plan: Plan, *, seed: int) -> list[Job]:
    """Everything that is trained and measured for a seed; what two parts share is done once."""
    from benchmark.studies.measuring import Job
    from benchmark.studies.synthetic_models import measured_on, scratch_jobs, tuned_jobs

    jobs: dict[str, Job] = {}
    for bias, of_bias in plan.biases.items():
        for value in of_bias.values:
            suite = with_bias(plan, bias, value)
            some = (
                *scratch_jobs(suite, plan.sizes, seed=seed),
                *tuned_jobs(suite, plan.sizes, name=plan.name, seed=seed, methods=(METHOD,)),
            )
            jobs |= {job.spec.name: job for job in some}
    for pair in (plan.inside, plan.outside):
        suite = tried_on(plan, pair)
        for job in scratch_jobs(suite, plan.sizes, seed=seed):
            jobs.setdefault(job.spec.name, job)
        shifts = measured_on(suite, pair[0], pair[1:])
        for name in plan.variations():
            spec = setting_model(plan, pair, name, seed=seed)
            jobs[spec.name] = Job(spec=spec, shifts=shifts)
    return list(jobs.values())
