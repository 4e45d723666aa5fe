"""Can a shift be split into what the reference supports and what it does not, and does robustness differ?

Section 5.2 and Appendix C.2 of Cohen-Wang et al. 2024 (arXiv 2403.00194). On ``digits`` the answer is known:
of a planted mixture two fifths of the images stay as they are, the others are moved and tinted; so the split
can be held to the truth, and effective robustness be measured on each half, also with the out-of-support half
weighted to the difficulties of the other (Appendix C.2.4). On ``pacs`` photographs stand against paintings,
cartoons and sketches, with the features of a network trained on photographs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.studies.study import STUDIES, Study
from shifts.registry import resolve

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job
    from benchmark.studies.study import Findings, Setting

NAME = "support-split"
SUITES = {"digits": "benchmark.studies.support_planted", "pacs": "benchmark.studies.support_natural"}
STUDIES.register(
    Study(
        name=NAME,
        title="shifts split into support and no support, and robustness on each half",
        citation="Cohen-Wang, Vendrow and Madry 2024, arXiv 2403.00194, Section 5.2, Appendix C.2",
        run="benchmark.studies.support_split:run",
        suites=tuple(SUITES),
        jobs="benchmark.studies.support_split:jobs",
    )
)


def run(setting: Setting) -> Findings:
    """Run the suite's part."""
    assert setting.suite is not None, "the study has suites"
    findings: Findings = resolve(f"{SUITES[setting.suite]}:run")(setting)
    return findings


def jobs(setting: Setting) -> list[Job]:
    """Everything that the suite's part trains and measures."""
    assert setting.suite is not None, "the study has suites"
    found: list[Job] = resolve(f"{SUITES[setting.suite]}:jobs")(setting)
    return found
