"""iWildCam2020-WILDS: which animal is in a camera-trap picture, at places that were not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

# Names of categories.csv by label. Two of its categories have one name; the later one carries its number.
_NAMES = """
empty, tayassu pecari, dasyprocta punctata, cuniculus paca, puma concolor, tapirus terrestris, pecari
tajacu, mazama americana, leopardus pardalis, geotrygon montana, nasua nasua, dasypus novemcinctus, eira
barbara, didelphis marsupialis, procyon cancrivorus, panthera onca, myrmecophaga tridactyla, tinamus
major, sylvilagus brasiliensis, puma yagouaroundi, leopardus wiedii, mazama gouazoubira, philander
opossum, capra aegagrus, bos taurus, ovis aries, canis lupus, lepus saxatilis, papio anubis, genetta
genetta, tragelaphus scriptus, herpestes sanguineus, loxodonta africana, cricetomys gambianus, raphicerus
campestris, hyaena hyaena, aepyceros melampus, crocuta crocuta, caracal caracal, equus ferus, panthera
leo, tragelaphus oryx, kobus ellipsiprymnus, phacochoerus africanus, panthera pardus, ichneumia albicauda,
canis mesomelas, syncerus caffer, equus quagga, giraffa camelopardalis, alcelaphus buselaphus, chlorocebus
pygerythrus, madoqua guentheri, potamochoerus larvatus, nanger granti, eudorcas thomsonii, struthio
camelus, orycteropus afer, acinonyx jubatus, eupodotis senegalensis, felis silvestris, oryx beisa,
lophotis gindiana, ardeotis kori, lissotis melanogaster, argusianus argus, prionailurus bengalensis,
hemigalus derbyanus, muntiacus muntjak, sus scrofa, helarctos malayanus, rusa unicolor, hystrix brachyura,
pardofelis temminckii, panthera tigris, lariscus insignis, chalcophaps indica, genetta tigrina, hystrix
cristata, lycaon pictus, procavia capensis, canis familiaris, unknown bird, unknown bat, momotus momota,
dasyprocta fuliginosa, geotrygon sp, nasua narica, tamandua mexicana, didelphis sp, penelope purpurascens,
phaetornis sp, brotogeris sp, camelus dromedarius, otocyon megalotis, acryllium vulturinum, equus grevyi,
proteles cristata, leptailurus serval, tragelaphus strepsiceros, hippopotamus amphibius, burhinus
capensis, paguma larvata, pardofelis marmorata, cuon alpinus, varanus salvator, martes flavigula,
prionodon linsang, rollulus rouloul, lophura inornata, polyplectron chalcurum, manis javanica, capricornis
sumatraensis, macaca sp, francolinus nobilis, cercopithecus lhoesti, cephalophus nigrifrons, atherurus
africanus, pan troglodytes, cercopithecus mitis, funisciurus carruthersi, motacilla flava, andropadus
latirostris, andropadus virens, thamnomys venustus, protoxerus stangeri, paraxerus boehmi, cephalophus
silvicultor, oenomys hypoxanthus, melocichla mentalis, hybomys univittatus, colomys goslingi, hylomyscus
stella, genetta servalina, canis adustus, mus minutoides, musophaga rossae, turtur tympanistria, praomys
tullbergi, malacomys longipes, alopochen aegyptiaca, deomys ferrugineus, francolinus africanus, turdus
olivaceus, mazama sp, urocyon cinereoargenteus, meleagris ocellata, crax rubra, agouti paca, tapirus
bairdii, procyon lotor, odocoileus virginianus, leptotila plumbeiceps, mazama temama, conepatus
semistriatus, mazama pandora, ortalis vetula, presbytis thomasi, neofelis diardi, arctonyx hoevenii,
tragulus sp, dendrocitta occipitalis, niltava sumatrana, leiothrix argentauris, arborophila rubrirostris,
lophura sp, myiophoneus glaucinus, lophura erythrophthalma, spilornis cheela, myiophoneus caeruleus,
herpestes semitorquatus, cerdocyon thous, motorcycle, peromyscus sp, puma yagoroundi, tigrisoma mexicanum,
claravis pretiosa, sciurus sp, ave desconocida, aramides cajanea, unknown dove, mazama temama (571)
"""
SPECIES = tuple(" ".join(name.split()) for name in _NAMES.split(","))
SPLITS = {"id-test": "id_test", "val": "val", "test": "test", "id-val": "id_val", "train": "train"}
TOTALS = {"train": 129_809, "val": 14_961, "test": 42_791, "id-val": 7_314, "id-test": 8_154}

LABEL_SPACES.register(
    LabelSpace(
        name="iwildcam",
        class_names=SPECIES,
        # Of Wortsman et al., arXiv 2109.01903 (mlfoundations/wise-ft, src/templates), and of DataComp.
        templates=("a photo of {}.", "{} in the wild."),
    )
)

SOURCES.register(
    ImageSource(
        name="iwildcam",
        title="iWildCam2020-WILDS v2.0",
        label_space="iwildcam",
        counts={split: (None,) * len(SPECIES) for split in SPLITS},
        totals=TOTALS,
        files=(
            RemoteFile(
                filename="iwildcam_v2.0.tar.gz",
                urls=(
                    "https://huggingface.co/datasets/emmilly/iwildcam-wilds-v2/resolve/main/iwildcam_v2.0.tar.gz",
                    "https://worksheets.codalab.org/rest/bundles/0x6313da2b204647e79a14b468131fcd64/contents/blob/",
                ),
                sha256="05c872f46eee44315f79bc90f4098c69ae3799a2b95116db02292ea1b4e370d2",
                size=11_957_415_473,
            ),
        ),
        licence="CDLA-Permissive-1.0",
        citation="S. Beery, E. Cole, A. Gjoka. The iWildCam 2020 Competition Dataset. arXiv 2004.10340; "
        "P. W. Koh, S. Sagawa, et al. WILDS. ICML 2021, arXiv 2012.07421.",
        homepage="https://www.kaggle.com/c/iwildcam-2020-fgvc7",
        layouts=("iwildcam_v2.0.tar.gz, or its folder with metadata.csv and train/",),
        loader="shifts.sources.iwildcam:load",
        notes="The images of every split lie in the folder train.",
    )
)

_COMMON: dict[str, Any] = {
    "source": "iwildcam",
    "label_space": "iwildcam",
    "groups": ("location",),
    "metrics": ("macro_f1",),
    "reported": {"macro_f1": "macro F1"},
    "notes": "Reported is macro F1 (macro_f1) over the classes that occur.",
}

SHIFTS.register(
    ShiftSpec(
        name="iwildcam",
        title="iWildCam-WILDS, other days at the training cameras",
        kind="reference",
        support="in",
        split="id-test",
        **_COMMON,
    ),
    ShiftSpec(
        name="iwildcam/val",
        title="iWildCam-WILDS, other cameras, to select models on",
        kind="natural",
        support="unknown",
        split="val",
        reference="iwildcam",
        **_COMMON,
    ),
    ShiftSpec(
        name="iwildcam/test",
        title="iWildCam-WILDS, other cameras",
        kind="natural",
        support="unknown",
        split="test",
        reference="iwildcam",
        **_COMMON,
    ),
)


def load(root: Path, split: str) -> Examples:
    """A split with the attributes ``location`` (the camera) and ``year``; ids are the names of the files.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_table,), source="iwildcam")


def _table(root: Path, split: str) -> Examples | None:
    from shifts.readers.layouts import folder_with
    from shifts.readers.tables import attribute, columns_of, integers, read_columns, table_examples

    folder = folder_with(root, "metadata.csv") if root.is_dir() else None
    if folder is None or "location_remapped" not in columns_of(folder / "metadata.csv"):
        return None
    table = folder / "metadata.csv"
    columns = read_columns(table, "split", "y", "filename", "location_remapped", "datetime")
    rows = [row for row, part in enumerate(columns["split"]) if part == SPLITS[split]]
    if not rows:
        return None

    def of_split(name: str) -> list[str]:
        return [columns[name][row] for row in rows]

    return table_examples(
        folder / "train",
        of_split("filename"),
        integers(table, "y", of_split("y")),
        attributes={
            "location": attribute(of_split("location_remapped")),
            "year": attribute([moment[:4] for moment in of_split("datetime")]),
        },
        tables=[table],
    )
