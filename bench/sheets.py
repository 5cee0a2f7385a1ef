"""What a sheet of 24 stickers costs: ours beside the same sheet by qrcode or segno and reportlab, by reportlab's own
widget, and as a picture by Pillow.

In turn, in one run, with payloads that nobody has seen before and fonts that everybody has loaded. Every sheet carries
24 codes of level Q and 48 lines of text, in Chinese and Latin letters; all of them are read back before anything is
timed. What is timed is the processor's work, which other work on the machine moves less. Beside it: a sheet whose codes
were drawn before, a sheet in five scripts, and the poster.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path

import django
import qrcode
import segno
import zxingcpp
from PIL import Image, ImageDraw, ImageFont
from pypdfium2 import PdfDocument
from qrcode.constants import ERROR_CORRECT_Q
from reportlab.graphics import renderPDF
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from bench.rounds import Arm, Figures, Goal, Role, compare

ROUNDS = 15
US, PILLOW = "Pushcart", "qrcode + Pillow, 300 dpi PNG"
PT = 72 / 25.4
LEFT, TOP, WIDE, HIGH, SIDE = 9.0, 12.5, 64.0, 34.0, 32.0  # Millimetres, as in our own layout.
FONT = Path(__file__).parents[1] / "merchants" / "fonts" / "NotoSansSC-Regular.ttf"
ITEMS = ("红富士苹果 Fuji", "砂糖橘 Tangerine", "西瓜 Melon")
FIVE = ("红富士苹果", "ताज़ा आम", "ร้านก๋วยเตี๋ยว", "متجر الفواكه", "Phở Bà Hương")
PRICE = "¥2.00"


def main() -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="config.settings",
        SECRET_KEY=secrets.token_hex(32),
        DATABASE_URL="postgres://nobody@127.0.0.1:9/none",  # Paper needs no database.
        REDIS_URL="redis://127.0.0.1:9/0",
        DEBUG="1",
    )
    django.setup()
    pdfmetrics.registerFont(TTFont("Sheet", str(FONT)))
    same = payloads()
    poster, widget, path = "Pushcart's poster, A4", "reportlab's QrCodeWidget", "qrcode + reportlab"
    ways: list[tuple[str, Role, Callable[[list[str]], bytes]]] = [
        (US, "product", ours),
        ("Pushcart, codes that were drawn before", "product", lambda _texts: ours(same)),
        ("Pushcart, five scripts", "product", lambda texts: ours(texts, FIVE)),
        (poster, "product", our_poster),
        ("ZXing in C++ + reportlab", "limit", lambda texts: drawn(texts, by_zxing)),
        ("segno + reportlab", "peer", lambda texts: drawn(texts, by_segno)),
        (path, "peer", lambda texts: drawn(texts, by_qrcode)),
        (widget, "peer", lambda texts: drawn(texts, by_widget)),
        (PILLOW, "peer", pillow),
    ]
    for name, _role, way in ways:
        checked(way, codes=1 if name == poster else 24)
    compare(
        "sheets",
        [Arm(name, role, partial(timed, way)) for name, role, way in ways],
        title="A sheet of 24 stickers",
        figure="cpu_ms",
        rounds=ROUNDS,
        goals=[
            Goal("A sheet of 24 stickers takes 60 ms", "cpu_ms", at_most=60),
            Goal("It takes a fifth of the time of one drawn by Pillow", "cpu_ms", against=PILLOW, at_most=0.2),
        ],
        notes=[_HOW],
        durable=False,
    )


def timed(way: Callable[[list[str]], bytes]) -> Figures:
    texts = payloads()
    began = time.process_time()
    file = way(texts)
    return {"cpu_ms": (time.process_time() - began) * 1000, "size_bytes": len(file)}


def payloads() -> list[str]:
    """24 addresses as a real product's are."""
    return [f"https://pay.example.com/s/{secrets.token_hex(8)[:12]}" for _ in range(24)]


def checked(way: Callable[[list[str]], bytes], *, codes: int) -> None:
    """Every code on it must be read."""
    file = way(payloads())
    if file.startswith(b"%PDF"):
        document = PdfDocument(file)
        picture = document[0].render(scale=200 / 72).to_pil()
        document.close()
    else:
        picture = Image.open(BytesIO(file))
    found = {code.text for code in zxingcpp.read_barcodes(picture)}
    assert len(found) == codes, f"{len(found)} of {codes} codes are read"


def ours(texts: list[str], names: tuple[str, ...] = ITEMS) -> bytes:
    from qr import sheet  # noqa: PLC0415  Django is set up only now.
    from qr.stickers import Sticker  # noqa: PLC0415

    titles = islice(cycle(names), len(texts))
    return sheet.pdf(
        [Sticker(text=text, title=title, price=PRICE) for text, title in zip(texts, titles, strict=True)], "stickers-24"
    )


def our_poster(texts: list[str]) -> bytes:
    from qr import poster  # noqa: PLC0415
    from qr.stickers import Poster, Sticker  # noqa: PLC0415

    sticker = Sticker(text=texts[0], title=ITEMS[0], price=PRICE, shop="梅姐水果店", word="蓝色海豚")
    return poster.pdf(Poster(sticker, "扫一扫，这一堆 ¥2.00", "付款页面必须显示这个词："), "a4")


def drawn(texts: list[str], code: Callable[[Canvas, str, float, float], None]) -> bytes:
    """The sheet as one writes it with reportlab."""
    out = BytesIO()
    canvas = Canvas(out, pagesize=(210 * PT, 297 * PT))
    for place, text in enumerate(texts):
        x = (LEFT + place % 3 * WIDE + 1) * PT
        y = (297 - TOP - (place // 3 + 1) * HIGH + 1) * PT
        code(canvas, text, x, y)
        canvas.setFont("Sheet", 12)
        canvas.drawString(x + (SIDE + 1) * PT, y + 20 * PT, ITEMS[place % 3])
        canvas.drawString(x + (SIDE + 1) * PT, y + 13 * PT, PRICE)
    canvas.save()
    return out.getvalue()


def by_qrcode(canvas: Canvas, text: str, x: float, y: float) -> None:
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_Q, border=4)
    code.add_data(text)
    modules(canvas, code.get_matrix(), x, y)


def by_segno(canvas: Canvas, text: str, x: float, y: float) -> None:
    modules(canvas, list(segno.make(text, error="q", micro=False, boost_error=False).matrix_iter(border=4)), x, y)


def by_zxing(canvas: Canvas, text: str, x: float, y: float) -> None:
    pixels = memoryview(zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="Q").to_image(scale=1))
    modules(canvas, [[not shade for shade in line] for line in pixels.tolist()], x, y)


def modules(canvas: Canvas, matrix: list[list[bool]], x: float, y: float) -> None:
    module = SIDE * PT / len(matrix)
    path = canvas.beginPath()
    for row, line in enumerate(matrix):
        for column, dark in enumerate(line):
            if dark:
                path.rect(x + column * module, y + (len(matrix) - 1 - row) * module, module, module)
    canvas.drawPath(path, stroke=0, fill=1)


def by_widget(canvas: Canvas, text: str, x: float, y: float) -> None:
    picture = Drawing(SIDE * PT, SIDE * PT)
    picture.add(QrCodeWidget(text, barLevel="Q", barWidth=SIDE * PT, barHeight=SIDE * PT))
    renderPDF.draw(picture, canvas, x, y)


def pillow(texts: list[str]) -> bytes:
    dots = 300 / 25.4
    sheet = Image.new("L", (round(210 * dots), round(297 * dots)), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(str(FONT), 50)
    for place, text in enumerate(texts):
        x = round((LEFT + place % 3 * WIDE + 1) * dots)
        y = round((TOP + place // 3 * HIGH + 1) * dots)
        code = qrcode.QRCode(error_correction=ERROR_CORRECT_Q, border=4)
        code.add_data(text)
        picture = code.make_image().get_image().convert("L").resize((round(SIDE * dots),) * 2, Image.Resampling.NEAREST)
        sheet.paste(picture, (x, y))
        pen.text((x + (SIDE + 1) * dots, y + 6 * dots), ITEMS[place % 3], font=font, fill=0)
        pen.text((x + (SIDE + 1) * dots, y + 13 * dots), PRICE, font=font, fill=0)
    out = BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


_HOW = (
    "Milliseconds of one processor: 24 codes of level Q and 48 lines of Chinese and Latin letters, payloads that nobody"
    " has seen before, fonts that everybody has loaded. All codes were read back first."
)


if __name__ == "__main__":
    main()
