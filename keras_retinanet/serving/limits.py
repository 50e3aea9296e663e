"""The limits of the server, and the answers to requests beyond them."""

from __future__ import annotations

import io
from dataclasses import dataclass

from ..errors import InputError
from ..options import check_number
from ..utils.image_file import open_image


class Refused(Exception):
    """A request that the server does not carry out.

    Attributes:
        status: the status of the answer, 400 or more.
        sentence: the text of the answer.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers or {}


@dataclass(frozen=True)
class Limits:
    """The largest request that the server accepts.

    Attributes:
        megabytes: size of a request's body.
        megapixels: size of an image.
        images: number of images in a request.
        seconds: time from the first byte of a request to its answer.
        queue: number of images that may wait for a model; more are refused with 429.
    """

    megabytes: float = 32
    megapixels: float = 50
    images: int = 32
    seconds: float = 30
    queue: int = 64

    def __post_init__(self) -> None:
        check_number("megabytes", self.megabytes, "between 0 and 2000", float)
        check_number("megapixels", self.megapixels, "between 0 and 2000", float)
        check_number("images", self.images, "from 1 to 1024")
        check_number("seconds", self.seconds, "between 0 and 3600", float)
        check_number("queue", self.queue, "from 1 to 100000")

    def check_pixels(self, width: int, height: int) -> None:
        """Raise `Refused` if an image has too many pixels."""
        if width * height > self.megapixels * 1e6:
            raise Refused(
                413,
                f"The image has {width} x {height} px; at most {self.megapixels:g} megapixels are "
                "accepted.",
            )

    def check_image(self, data: bytes) -> None:
        """Raise `Refused` unless bytes are an encoded image with few enough pixels."""
        if not data:
            raise Refused(400, "The image is empty.")
        try:
            with open_image(io.BytesIO(data)) as image:
                size = image.size
        except InputError:
            raise Refused(413, "The image has too many pixels.") from None
        except Exception:  # Pillow's readers raise many kinds of errors
            raise Refused(415, "The body is not an image of a known format.") from None
        self.check_pixels(*size)
