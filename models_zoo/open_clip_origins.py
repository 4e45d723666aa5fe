"""Where the weights of the open_clip library come from: training data, licence, citation.

Told by ``architecture:tag``; the first pattern that fits decides. Sources: the papers cited and the cards of
the repositories on the Hub, as of 2025. An image tower that was pre-trained (EVA) has seen that data as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

RADFORD = (
    "Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021, "
    "arXiv 2103.00020"
)
OPEN_CLIP = "Ilharco et al., OpenCLIP, 2021, doi 10.5281/zenodo.5143773"
CHERTI = (
    "Cherti et al., Reproducible Scaling Laws for Contrastive Language-Image Learning, CVPR 2023, "
    "arXiv 2212.07143"
)
GADRE = (
    "Gadre et al., DataComp: In Search of the Next Generation of Multimodal Datasets, NeurIPS 2023, "
    "arXiv 2304.14108"
)
FANG = "Fang et al., Data Filtering Networks, ICLR 2024, arXiv 2309.17425"
XU = "Xu et al., Demystifying CLIP Data, ICLR 2024, arXiv 2309.16671"
CHUANG = "Chuang et al., MetaCLIP 2: A Worldwide Scaling Recipe, 2025, arXiv 2507.22062"
ALTOGETHER = "Xu et al., Altogether: Image Captioning via Re-aligning Alt-text, EMNLP 2024, arXiv 2410.17251"
ZHAI = "Zhai et al., Sigmoid Loss for Language Image Pre-Training, ICCV 2023, arXiv 2303.15343"
TSCHANNEN = "Tschannen et al., SigLIP 2: Multilingual Vision-Language Encoders, 2025, arXiv 2502.14786"
SUN = "Sun et al., EVA-CLIP: Improved Training Techniques for CLIP at Scale, 2023, arXiv 2303.15389"
YU = "Yu et al., CoCa: Contrastive Captioners are Image-Text Foundation Models, TMLR 2022, arXiv 2205.01917"
LI = "Li et al., An Inverse Scaling Law for CLIP Training, NeurIPS 2023, arXiv 2305.07017"
CHEN = "Chen et al., ViTamin: Designing Scalable Vision Models, CVPR 2024, arXiv 2404.02132"
VASU = (
    "Vasu et al., MobileCLIP: Fast Image-Text Models through Multi-Modal Reinforced Training, CVPR 2024, "
    "arXiv 2311.17049"
)
FAGHRI = "Faghri et al., MobileCLIP2: Improving Multi-Modal Reinforced Training, TMLR 2025, arXiv 2508.20691"
BOLYA = "Bolya et al., Perception Encoder: The Best Visual Embeddings, 2025, arXiv 2504.13181"
VISHERATIN = (
    "Visheratin, NLLB-CLIP: Train Performant Multilingual Image Retrieval Model, 2023, arXiv 2309.01859"
)

MIT, APACHE, APPLE, NC, UNKNOWN = "MIT", "Apache-2.0", "Apple AMLR (research only)", "CC-BY-NC-4.0", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Facts about published weights; ``training_data`` in the words of ``models_zoo.training_data``."""

    training_data: tuple[str, ...]
    licence: str
    citation: str


NOT_KNOWN = Origin(training_data=("unknown",), licence=UNKNOWN, citation=OPEN_CLIP)

# pattern of architecture:tag in lower case → training data, licence, citation
_TABLE: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("*:openai", ("openai-wit",), MIT, RADFORD),
    ("*:yfcc15m", ("yfcc15m",), MIT, OPEN_CLIP),
    ("*:cc12m", ("cc12m",), MIT, OPEN_CLIP),
    ("eva01-g-14:*", ("laion-400m", "merged-30m"), MIT, SUN),
    ("eva01-g-14-plus:*", ("merged-2b", "merged-30m"), MIT, SUN),
    ("eva02-b-16:*", ("merged-2b", "imagenet-21k"), MIT, SUN),
    ("eva02-l-14*:*", ("merged-2b", "merged-38m"), MIT, SUN),
    ("eva02-e-14*:*", ("laion-2b",), MIT, SUN),
    ("coca_*:mscoco_finetuned_*", ("laion-2b", "mscoco"), MIT, YU),
    ("coca_*:*", ("laion-2b",), MIT, YU),
    ("*-clipa*:datacomp1b", ("datacomp-1b",), APACHE, LI),
    ("*-clipa*:laion2b", ("laion-2b",), APACHE, LI),
    ("vitamin-*:*", ("datacomp-1b",), UNKNOWN, CHEN),
    ("mobileclip2-*:*", ("dfn-2b",), APPLE, FAGHRI),
    ("mobileclip-*:*", ("datacomp-1b",), APPLE, VASU),
    ("nllb-*:*", ("unknown",), NC, VISHERATIN),
    ("*-siglip2*:webli", ("webli",), APACHE, TSCHANNEN),
    ("*-siglip*:webli", ("webli",), APACHE, ZHAI),
    ("pe-core-*:*", ("meta-pe",), APACHE, BOLYA),
    ("*:laion400m_*", ("laion-400m",), MIT, CHERTI),
    ("*:laion2b_*", ("laion-2b",), MIT, CHERTI),
    ("*:laion5b_*", ("laion-5b",), MIT, CHERTI),
    ("*:frozen_laion5b_*", ("laion-5b",), MIT, CHERTI),
    ("*:laion_aesthetic_*", ("laion-aesthetic",), MIT, CHERTI),
    ("*:datacomp_xl_*", ("datacomp-1b",), MIT, GADRE),
    ("*:datacomp_s34b_b86k", ("datacomp-1b",), MIT, GADRE),
    ("*:datacomp_l_*", ("datacomp-large",), MIT, GADRE),
    ("*:datacomp_m_*", ("datacomp-medium",), MIT, GADRE),
    ("*:datacomp_s_*", ("datacomp-small",), MIT, GADRE),
    ("*:commonpool_xl_*", ("commonpool-xlarge",), MIT, GADRE),
    ("*:commonpool_l_*", ("commonpool-large",), MIT, GADRE),
    ("*:commonpool_m_*", ("commonpool-medium",), MIT, GADRE),
    ("*:commonpool_s_*", ("commonpool-small",), MIT, GADRE),
    ("*:dfn2b*", ("dfn-2b",), APPLE, FANG),
    ("*:dfn5b", ("dfn-5b",), APPLE, FANG),
    ("*:metaclip_400m", ("metaclip-400m",), NC, XU),
    ("*:metaclip_fullcc", ("metaclip-2.5b",), NC, XU),
    ("*:metaclip_altogether", ("unknown",), NC, ALTOGETHER),
    ("*:metaclip2_worldwide", ("metaclip2-worldwide",), NC, CHUANG),
)


def origin(architecture: str, tag: str) -> Origin:
    """What is known of weights; all unknown for a tag that a newer library brings.

    >>> origin("ViT-B-16-quickgelu", "openai").training_data
    ('openai-wit',)
    """
    name = f"{architecture}:{tag}".lower()
    for pattern, training_data, licence, citation in _TABLE:
        if fnmatchcase(name, pattern):
            return Origin(training_data=training_data, licence=licence, citation=citation)
    return NOT_KNOWN
