"""The one place where the bytes of an image file become pixels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from shifts.errors import CorruptDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ImageFile.LOAD_TRUNCATED_IMAGES = False

LOSSLESS = ("PNG", "BMP", "TIFF", "GIF", "PPM")


def decode(payload: bytes | NDArray[np.uint8], *, where: str) -> NDArray[np.uint8]:
    """An image as ``uint8`` (H, W, 3), RGB: ``opened``, as an array."""
    return np.asarray(opened(payload, where=where))


def opened(payload: bytes | NDArray[np.uint8], *, where: str) -> Image.Image | NDArray[np.uint8]:
    """A decoded RGB image as Pillow holds it: a resize by Pillow needs no copy of its pixels.

    Files of other modes are converted the way the common data sets' loaders do (``convert("RGB")``); an
    EXIF orientation is not applied, since neither torchvision's nor timm's readers apply it and published
    numbers were measured so.

    Args:
        payload: the encoded file, or pixels, which pass through.
        where: names the image in an error message.

    Raises:
        CorruptDataError: the bytes are no image, or the image is cut short.
    """
    if isinstance(payload, np.ndarray):
        return payload
    try:
        with Image.open(io.BytesIO(payload)) as image:
            if image.mode != "RGB":
                return image.convert("RGB")
            image.load()
            return image
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        detail = str(error).partition("<_io")[0].strip() or type(error).__name__
        raise CorruptDataError(
            f"{where} is not a readable image: {detail}",
            hint="replace the file, then run: robustbench-shift data verify SOURCE",
        ) from error


def content_bytes(payload: bytes | NDArray[np.uint8], *, where: str) -> bytes:
    """The bytes that identify an image: pixels of lossless files, the file itself of lossy ones.

    A PNG, an npy row and a raw record of the same pixels are the same content; two JPEG files are the
    same only byte by byte, because decoders may differ in the last bit.
    """
    if not isinstance(payload, np.ndarray):
        try:
            with Image.open(io.BytesIO(payload)) as image:
                lossless = image.format in LOSSLESS
        except (UnidentifiedImageError, OSError) as error:
            raise CorruptDataError(f"{where} is not a readable image") from error
        if not lossless:
            return payload
    pixels = np.ascontiguousarray(decode(payload, where=where))
    return np.array(pixels.shape, dtype="<i8").tobytes() + pixels.tobytes()
