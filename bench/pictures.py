"""What a picture of a code costs: ours beside `qrcode` with Pillow, segno and ZXing in C++, drawn in turns in one run.

Every picture is read before it is timed. Then the address of a picture over HTTP, in this process: drawn, from the
cache, and not at all (304). At the end, how large codes are on paper.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import qrcode
import segno
import zxingcpp
from PIL import Image
from qrcode.image.svg import SvgPathImage
from qrcode.util import MODE_8BIT_BYTE, QRData

from bench import ground
from bench.rounds import Arm, Figures, Goal, Role, compare, size

ROUNDS, TIMES = 15, size(20, 3)
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
        _pictures("pictures", f"A picture of a code: PNG of an address of {len(URL)} bytes", URL)
        _pictures("pictures-payload", f"A picture of a code: PNG of a payload of {len(PAYLOAD)} bytes", PAYLOAD)
        _drawings("pictures-svg", f"A picture of a code: SVG of an address of {len(URL)} bytes", URL)
        _over_http()
    _sizes()


def _pictures(bench: str, title: str, text: str) -> None:
    from qr import draw  # noqa: PLC0415  Django is set up only now.

    fresh = draw.png.__wrapped__  # Without what it remembers.
    ways = {
        "Pushcart": lambda: fresh(text),
        "Pushcart, in colour": lambda: fresh(text, 600, _style(logo=False)),
        "Pushcart, with a logo": lambda: fresh(text, 600, _style(logo=True)),
        "ZXing in C++, with Pillow": lambda: _zxing_png(text),
        "qrcode with Pillow": lambda: _saved(_qrcode(text).make_image()),
        "segno": lambda: _written(_segno(text), kind="png", scale=SCALE, border=4),
    }
    for writer, drawing in ways.items():
        found = zxingcpp.read_barcodes(Image.open(io.BytesIO(drawing())).convert("L"))
        assert [code.text for code in found] == [text], writer
    goals = [
        Goal(f"A picture of {len(text)} bytes takes 1 ms", "cpu_ms", at_most=1),
        Goal(
            f"One of {len(text)} bytes takes a tenth of qrcode's time",
            "cpu_ms",
            against="qrcode with Pillow",
            at_most=0.1,
        ),
    ]
    compare(bench, _arms(ways), title=title, figure="cpu_ms", rounds=ROUNDS, goals=goals, notes=[_HOW], durable=False)


def _drawings(bench: str, title: str, text: str) -> None:
    from qr import draw  # noqa: PLC0415

    fresh = draw.svg.__wrapped__
    ways = {
        "Pushcart": lambda: fresh(text),
        "Pushcart, with a logo": lambda: fresh(text, 600, _style(logo=True)),
        "ZXing in C++": lambda: _zxing(text).to_svg(scale=SCALE).encode(),
        "qrcode": lambda: _saved(_qrcode(text).make_image(image_factory=SvgPathImage)),
        "segno": lambda: _written(_segno(text), kind="svg", scale=SCALE, border=4),
    }
    compare(bench, _arms(ways), title=title, figure="cpu_ms", rounds=ROUNDS, notes=[_HOW], durable=False)


def _arms(ways: dict[str, Callable[[], bytes]]) -> list[Arm]:
    return [Arm(name, _role(name), partial(_timed, drawing)) for name, drawing in ways.items()]


def _role(name: str) -> Role:
    return "product" if name.startswith("Pushcart") else "limit" if name.startswith("ZXing") else "peer"


def _timed(drawing: Callable[[], bytes]) -> Figures:
    """Milliseconds of this process's processor for each, once whatever loads itself at its first call has done so."""
    size_bytes = len(drawing())
    began = time.process_time()
    for _ in range(TIMES):
        drawing()
    return {"cpu_ms": (time.process_time() - began) / TIMES * 1e3, "size_bytes": size_bytes}


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
    compare(
        "pictures-http",
        [Arm(name, "product", partial(_answered, answer)) for name, answer in answers.items()],
        title="A picture over HTTP, in the web process",
        figure="cpu_ms",
        rounds=ROUNDS,
        notes=["Without what the database itself takes; token, shop and code come from it."],
    )


def _answered(answer: Callable[[], Any]) -> Figures:
    return {"cpu_ms": _timed(lambda: answer().content)["cpu_ms"]}


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
            modules = symbol("x" * length, level).size  # type: ignore[arg-type]
            edge = (modules + 2 * QUIET_ZONE) * MODULE_MM
            logo = f" ({(logo_box(modules).side - 1) * MODULE_MM:.1f})" if level == "H" else ""
            cells.append(f"{(modules - 17) // 4}: {modules}, {edge:.1f}{logo}")
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
_HOW = (
    "Milliseconds of one processor, level M, about 600 pixels, drawn anew each time. Every picture was read before it"
    " was timed. *qrcode* and *ZXing* are drawn at the same size, by Pillow."
)

if __name__ == "__main__":
    main()
