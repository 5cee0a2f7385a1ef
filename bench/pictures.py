"""What a picture of a code costs: ours beside `qrcode` with Pillow, segno and ZXing in C++, drawn in turns in one run.

Every picture is read before it is timed. Then the address of a picture over HTTP, in this process: drawn, from the
cache, and not at all (304). At the end, how large codes are on paper.
"""

from __future__ import annotations

import io
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import qrcode
import segno
import zxingcpp
from PIL import Image
from qrcode.image.svg import SvgPathImage
from qrcode.util import MODE_8BIT_BYTE, QRData

from bench import ground

ROUNDS, TIMES = 15, 20
SCALE = 14  # 574 pixels for version 4, as ours draws into 600.
URL = "https://pay.example.com/s/AbCdEfGhJkLm?from=the-poster-2026x"
PAYLOAD = (
    "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d3-a456-42665544000052040000530398658"
    "02BR5913Fulano de Tal6008BRASILIA62190515RP1234567890126304ABCDXXXX"
)[:150]
BYTES = (60, 100, 150, 200, 300, 512)
MODULE_MM = 0.5


def main() -> None:
    with ground.stores():
        print(f"ms of processor, median and best of {ROUNDS} rounds of {TIMES}; x = times qrcode's speed, in turns")
        for name, text in (("address", URL), ("payload", PAYLOAD)):
            print(f"\n{name}, {len(text)} bytes, level M")
            _pictures(text)
        _over_http()
    _sizes()


def _pictures(text: str) -> None:
    from qr import draw  # noqa: PLC0415  Django is set up only now.
    from qr.symbol import symbol  # noqa: PLC0415

    fresh_png, fresh_svg = draw.png.__wrapped__, draw.svg.__wrapped__
    ways: dict[str, dict[str, Callable[[], Any]]] = {
        "modules alone": {
            "qrcode": lambda: _qrcode(text).get_matrix(),
            "segno": lambda: _segno(text),
            "zxing-cpp": lambda: _zxing(text),
            "ours": lambda: symbol(text),
        },
        "PNG": {
            "qrcode": lambda: _saved(_qrcode(text).make_image()),
            "segno": lambda: _written(_segno(text), kind="png", scale=SCALE, border=4),
            "zxing-cpp": lambda: _zxing_png(text),
            "ours": lambda: fresh_png(text),
            "ours, in colour": lambda: fresh_png(text, 600, _style(logo=False)),
            "ours, with a logo": lambda: fresh_png(text, 600, _style(logo=True)),
            "ours, again": lambda: draw.png(text),
        },
        "SVG": {
            "qrcode": lambda: _saved(_qrcode(text).make_image(image_factory=SvgPathImage)),
            "segno": lambda: _written(_segno(text), kind="svg", scale=SCALE, border=4),
            "zxing-cpp": lambda: _zxing(text).to_svg(scale=SCALE).encode(),
            "ours": lambda: fresh_svg(text),
            "ours, with a logo": lambda: fresh_svg(text, 600, _style(logo=True)),
        },
    }
    for writer, drawing in ways["PNG"].items():
        found = zxingcpp.read_barcodes(Image.open(io.BytesIO(drawing())).convert("L"))
        assert [code.text for code in found] == [text], writer
    for kind, drawings in ways.items():
        _say(kind, _timed(drawings), {name: drawing for name, drawing in drawings.items() if kind != "modules alone"})
    proofs = itertools.count()
    proving = _timed({"": lambda: draw._prove(f"{text}{next(proofs)}", _style(logo=True))})[""]
    print(f"{'a logo is proven, once':36} {statistics.median(proving):8.3f} {min(proving):8.3f}")


def _timed(drawings: dict[str, Callable[[], Any]]) -> dict[str, list[float]]:
    """Milliseconds of this process's processor in every round; in a round they take turns, on the same machine."""
    taken: dict[str, list[float]] = {name: [] for name in drawings}
    for drawing in drawings.values():
        drawing()
    for _ in range(ROUNDS):
        for name, drawing in drawings.items():
            began = time.process_time()
            for _ in range(TIMES):
                drawing()
            taken[name].append((time.process_time() - began) / TIMES * 1e3)
    return taken


def _say(kind: str, taken: dict[str, list[float]], drawings: dict[str, Callable[[], Any]]) -> None:
    first = next(iter(taken.values()))
    for name, rounds in taken.items():
        ratio = statistics.median(one / other for one, other in zip(first, rounds, strict=True))
        size = f"{len(drawings[name]()):7} bytes" if name in drawings else ""
        print(f"{kind:15} {name:20} {statistics.median(rounds):8.3f} {min(rounds):8.3f}   x {ratio:8.1f} {size}")


def _over_http() -> None:
    from django.utils import timezone  # noqa: PLC0415

    from merchants import ids, items  # noqa: PLC0415
    from qr import draw  # noqa: PLC0415
    from tests.cast import MEI_PHONE, open_shop  # noqa: PLC0415

    mei = open_shop(MEI_PHONE, "Mei's fruit")
    item = items.create(shop=mei.shop, name="Apples", amount=200, unit="pile", photo=None, now=timezone.now())
    client = mei.api()
    client.defaults["SERVER_NAME"] = "127.0.0.1"
    path = f"/api/v1/codes/{ids.public('cod', item.codes.get().id)}/image.png"
    tag = client.get(path).headers["ETag"]

    def drawn() -> Any:
        draw.png.cache_clear()
        return client.get(path)

    answers = {
        "drawn": drawn,
        "from the cache": lambda: client.get(path),
        "304": lambda: client.get(path, HTTP_IF_NONE_MATCH=tag),
    }
    assert {name: answer().status_code for name, answer in answers.items()} == {
        "drawn": 200, "from the cache": 200, "304": 304,
    }  # fmt: skip
    print("\nover HTTP, without what the database itself takes (token, shop and code come from it)")
    for name, rounds in _timed(answers).items():
        print(f"{name:36} {statistics.median(rounds):8.3f} {min(rounds):8.3f}")


def _sizes() -> None:
    from qr.branding import QUIET_ZONE, logo_box  # noqa: PLC0415
    from qr.symbol import symbol  # noqa: PLC0415

    print(
        f"\nversion: modules, and mm on paper with the quiet zone at {MODULE_MM} mm a module; of H also the logo's mm"
    )
    print(f"{'bytes':>6} " + " ".join(f"{level:>16}" for level in "LMQ") + f"{'H':>24}")
    for length in BYTES:
        cells = []
        for level in ("L", "M", "Q", "H"):
            size = symbol("x" * length, level).size  # type: ignore[arg-type]
            edge = (size + 2 * QUIET_ZONE) * MODULE_MM
            logo = f" ({(logo_box(size).side - 1) * MODULE_MM:.1f})" if level == "H" else ""
            cells.append(f"{(size - 17) // 4}: {size}, {edge:.1f}{logo}")
        print(f"{length:6} " + " ".join(f"{cell:>16}" for cell in cells))


def _style(*, logo: bool) -> Any:
    from qr.branding import Style  # noqa: PLC0415

    return Style("H", "#0b6b46", _LOGO) if logo else Style("M", "#0b6b46")


def _logo() -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((192, 192)).convert("RGB").save(out, "JPEG", quality=82)
    return out.getvalue()


def _qrcode(text: str) -> Any:
    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_M, box_size=SCALE, border=4)
    code.add_data(QRData(text.encode(), mode=MODE_8BIT_BYTE))
    code.make(fit=True)
    return code


def _segno(text: str) -> Any:
    return segno.make(text, error="m", mode="byte", boost_error=False, micro=False)


def _zxing(text: str) -> Any:
    return zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")


def _zxing_png(text: str) -> bytes:
    pixels = memoryview(_zxing(text).to_image(scale=SCALE))
    return _saved(Image.frombytes("L", pixels.shape[::-1], pixels.tobytes()), "PNG")


def _saved(picture: Any, *form: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, *form)
    return out.getvalue()


def _written(code: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    code.save(out, **options)
    return out.getvalue()


_LOGO = _logo()

if __name__ == "__main__":
    main()
