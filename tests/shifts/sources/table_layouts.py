"""Waterbirds, CelebA, Camelyon17, FMoW and iWildCam in small, in the layouts they are published in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shifts.sources.fmow import CATEGORIES
from tests.shifts.sources.copies import write_csv, write_images


def waterbirds(root: Path) -> Path:
    folder = root / "waterbird_complete95_forest2water2"
    groups = {0: (20, 3, 2, 8), 1: (4, 4, 2, 2), 2: (40, 40, 20, 20)}
    rows = []
    for split, sizes in groups.items():
        for group, size in enumerate(sizes):
            for number in range(size):
                name = f"001.Black_footed_Albatross/Bird_{split}_{group}_{number}.jpg"
                rows.append(
                    {
                        "img_id": len(rows) + 1,
                        "img_filename": name,
                        "y": group // 2,
                        "split": split,
                        "place": group % 2,
                        "place_filename": "/o/ocean/00000857.jpg",
                    }
                )
    write_images(folder, [str(row["img_filename"]) for row in rows], size=8)
    write_csv(folder / "metadata.csv", rows)
    return root


def celeba(root: Path, *, tables: str = "txt") -> Path:
    sizes = {0: (6, 5, 4, 2), 1: (3, 3, 2, 1), 2: (8, 6, 5, 4)}
    header = [f"Attribute{number}" for number in range(40)]
    header[9], header[20] = "Blond_Hair", "Male"
    lines, parts, names = [], [], []
    for split, groups in sizes.items():
        for group, size in enumerate(groups):
            for _ in range(size):
                name = f"{len(names) + 1:06d}.jpg"
                values = [-1] * 40
                values[9], values[20] = (1 if group >= 2 else -1), (1 if group % 2 else -1)
                names.append(name)
                lines.append((name, values))
                parts.append((name, split))
    if tables == "txt":
        folder = root / "celeba"
        write_images(folder / "img_align_celeba", names, size=8)
        text = "".join(f"{name} {'  '.join(f'{value:2d}' for value in values)}\n" for name, values in lines)
        (folder / "list_attr_celeba.txt").write_text(f"{len(names)}\n{' '.join(header)} \n{text}")
        (folder / "list_eval_partition.txt").write_text("".join(f"{name} {part}\n" for name, part in parts))
    else:
        write_images(root / "img_align_celeba" / "img_align_celeba", names, size=8)
        write_csv(
            root / "list_attr_celeba.csv",
            [{"image_id": name, **dict(zip(header, values, strict=True))} for name, values in lines],
        )
        write_csv(
            root / "list_eval_partition.csv", [{"image_id": name, "partition": part} for name, part in parts]
        )
    return root


def camelyon17(root: Path) -> Path:
    folder = root / "camelyon17_v1.0"
    rows = []
    for centre in range(5):
        for number in range(12):
            rows.append(
                {
                    "": len(rows),
                    "patient": f"{20 * centre + number % 3:03d}",
                    "node": number % 2,
                    "x_coord": 3328 + number,
                    "y_coord": 21792,
                    "tumor": number % 2,
                    "slide": 10 * centre + number % 4,
                    "center": centre,
                    "split": int(number % 6 == 5),
                }
            )
    names = []
    for row in rows:
        stem = f"patient_{row['patient']}_node_{row['node']}"
        names.append(f"patches/{stem}/patch_{stem}_x_{row['x_coord']}_y_{row['y_coord']}.png")
    write_images(folder, names, size=8, mode="RGBA")
    write_csv(folder / "metadata.csv", rows)
    (folder / "RELEASE_v1.0.txt").write_text("")
    return root


def fmow(root: Path) -> Path:
    folder = root / "fmow_v1.1"
    rows = []
    for part in ("train", "val", "test", "seq"):
        for year in (2005, 2012, 2014, 2016):
            for country in ("CHN", "FRA", "XXX"):
                for number in range(4):
                    rows.append(
                        {
                            "split": part,
                            "img_filename": "airport_0_0_rgb.jpg",
                            "category": CATEGORIES[(len(rows) * 7) % 62],
                            "cloud_cover": 0,
                            "country_code": country,
                            "timestamp": f"{year}-12-31T{number:02d}:59:59Z",
                        }
                    )
    kept = [number for number, row in enumerate(rows) if row["split"] != "seq"]
    write_images(folder, [f"images/rgb_img_{number}.png" for number in kept], size=6)
    write_csv(folder / "rgb_metadata.csv", rows)
    write_csv(
        folder / "country_code_mapping.csv",
        [
            {"name": "China", "alpha-3": "CHN", "region": "Asia"},
            {"name": "France", "alpha-3": "FRA", "region": "Europe"},
        ],
    )
    return root


def iwildcam(root: Path) -> Path:
    folder = root / "iwildcam_v2.0"
    rows = [
        {
            "": number,
            "split": part,
            "location_remapped": camera,
            "location": camera + 100,
            "sequence_remapped": number,
            "seq_id": f"s{number}",
            "y": (3 * number) % 182,
            "category_id": number,
            "datetime": f"201{number % 3}-01-02 03:04:05.000",
            "filename": f"{part}{camera}{number}.jpg",
            "image_id": f"i{number}",
        }
        for part, cameras in {
            "train": (1, 2),
            "val": (3,),
            "test": (4, 12),
            "id_val": (1, 2),
            "id_test": (1, 2),
        }.items()
        for camera in cameras
        for number in range(5)
    ]
    write_images(folder / "train", [str(row["filename"]) for row in rows], size=8)
    write_csv(folder / "metadata.csv", rows)
    write_csv(folder / "categories.csv", [{"y": 0, "category_id": 0, "name": "empty"}])
    return root


WRITERS: dict[str, Callable[[Path], Path]] = {
    "waterbirds": waterbirds,
    "celeba": celeba,
    "camelyon17": camelyon17,
    "fmow": fmow,
    "iwildcam": iwildcam,
}
