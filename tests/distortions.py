"""What happens to a printed code before a phone reads it: turned, tilted, blurred, scanned, squeezed and dimmed.

Every function takes a picture of Pillow's and answers another, grey, with white paper around; the same picture gives
the same answer each time.
"""

from __future__ import annotations

import io
import random

from PIL import Image, ImageChops, ImageFilter

WHITE = 255


def grey(picture: Image.Image) -> Image.Image:
    """As a camera's brightness (ITU-R BT.601) sees it."""
    return picture.convert("L")


def in_red_light(picture: Image.Image) -> Image.Image:
    """As a scanner with a red lamp sees it: the red channel alone."""
    return picture.convert("RGB").getchannel("R")


def rotated(picture: Image.Image, degrees: float) -> Image.Image:
    """Turned anticlockwise, whole."""
    return grey(picture).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=WHITE)


def tilted(picture: Image.Image, share: float = 0.30) -> Image.Image:
    """Seen from below: the upper edge stands further away and is shorter by this share."""
    flat = grey(picture)
    width, height = flat.size
    inset = width * share / 2
    # Pillow asks where each corner of the answer comes from: a projection that widens the upper edge.
    seen = [(inset, 0.0), (width - inset, 0.0), (float(width), float(height)), (0.0, float(height))]
    flat_corners = [(0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height))]
    return flat.transform(
        flat.size,
        Image.Transform.PERSPECTIVE,
        _projection(seen, flat_corners),
        Image.Resampling.BICUBIC,
        fillcolor=WHITE,
    )


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    """Out of focus: Gaussian, by this radius in pixels."""
    return grey(picture).filter(ImageFilter.GaussianBlur(radius))


def scanned(picture: Image.Image, dpi: float, *, at: float = 200) -> Image.Image:
    """A page or code of `dpi` on a scanner of 200 dpi: fewer pixels, laid on a little crooked, soft, grainy paper."""
    sharp = grey(picture)
    size = (max(1, round(sharp.width * at / dpi)), max(1, round(sharp.height * at / dpi)))
    smaller = sharp.resize(size, Image.Resampling.BOX if at < dpi else Image.Resampling.BICUBIC)
    return noisy(faint(blurred(rotated(smaller, 1.5), 0.5), 35, 225), 12)


def squeezed(picture: Image.Image, quality: int = 25) -> Image.Image:
    """Sent on by a messenger: JPEG of low quality."""
    out = io.BytesIO()
    grey(picture).save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue())).convert("L")


def faint(picture: Image.Image, dark: int, light: int) -> Image.Image:
    """Of low contrast: black becomes `dark` and white becomes `light` (0 to 255)."""
    return grey(picture).point(lambda level: round(dark + (light - dark) * level / 255))


def shaded(picture: Image.Image, share: float = 0.6) -> Image.Image:
    """Under an awning: the light falls off from left to right, by this share at the far edge."""
    flat = grey(picture)
    slope = Image.linear_gradient("L").rotate(90).resize(flat.size)
    return ImageChops.multiply(flat, slope.point(lambda level: round(255 * (1 - share * level / 255))))


def noisy(picture: Image.Image, strength: int = 30, seed: int = 20261128) -> Image.Image:
    """Taken in the dark: each pixel is off by up to `strength` either way."""
    flat = grey(picture)
    grain = Image.frombytes("L", flat.size, random.Random(seed).randbytes(flat.width * flat.height))
    return ImageChops.add(flat, grain.point(lambda level: level * 2 * strength // 255), offset=-strength)


def _projection(seen: list[tuple[float, float]], flat: list[tuple[float, float]]) -> list[float]:
    """The eight numbers of the projection that takes the points `seen` to the points `flat`."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(seen, flat, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    return _solved(rows)


def _solved(rows: list[list[float]]) -> list[float]:
    """Gauss and Jordan: the solution of linear equations, each row its coefficients and its right side."""
    for column in range(len(rows)):
        best = max(range(column, len(rows)), key=lambda row: abs(rows[row][column]))
        rows[column], rows[best] = rows[best], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for other in range(len(rows)):
            if other != column:
                factor = rows[other][column]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[column], strict=True)]
    return [row[-1] for row in rows]
