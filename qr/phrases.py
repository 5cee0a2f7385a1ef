"""What printed codes say to payers: whole sentences, language by language, so that no grammar is glued together."""

from __future__ import annotations

from dataclasses import dataclass

from merchants import countries


@dataclass(frozen=True, slots=True)
class Phrases:
    """One language. `{price}` and `{word}` are filled in; everything else is said as it stands."""

    caption: str  # The line under a code.
    pay: str  # On a poster without a price, or with one for each unit.
    amount: str  # On a sign: the payer enters the amount.
    price: str  # On a poster with a fixed price.
    pile: str  # The same, where the price buys a pile.
    check: str  # Above the check word, and below it what to do about another one.
    other: str
    word: str  # The check word where there is room for a line only.
    fold: str  # How a table tent is folded.
    piles: frozenset[str] = frozenset()  # How vendors write the unit "pile".


def language(country: str) -> str:
    """The language of most people there as far as we speak it, and English otherwise."""
    name, *parts = countries.locale(country).split("_")
    if name == "zh":
        return "zh-Hant" if "Hant" in parts else "zh"
    return {"pt": "pt-BR"}.get(name, name if name in PHRASES else "en")


def of(name: str) -> Phrases:
    return PHRASES[name]


PHRASES = {
    "en": Phrases(
        caption="Scan to pay",
        pay="Scan me to pay",
        amount="Scan me and type the amount",
        price="Scan me and pay {price}",
        pile="Scan me: this pile for {price}",
        check="Your pay page must show this word:",
        other="Another word? Do not pay.",
        word="Check word: {word}",
        fold="Fold along the dashed lines and glue this flap under the base.",
        piles=frozenset({"pile", "heap"}),
    ),
    "zh": Phrases(
        caption="扫码付款",
        pay="扫我付款",
        amount="扫我付款，请输入金额",
        price="扫我付款：{price}",
        pile="扫一扫，这一堆 {price}",
        check="付款页面必须显示这个词：",
        other="如果显示别的词，请不要付款。",
        word="核对词：{word}",
        fold="沿虚线折叠，把此边粘在底面下。",
        piles=frozenset({"堆", "一堆"}),
    ),
    "zh-Hant": Phrases(
        caption="掃碼付款",
        pay="掃我付款",
        amount="掃我付款，請輸入金額",
        price="掃我付款：{price}",
        pile="掃一掃，這一堆 {price}",
        check="付款頁面必須顯示這個詞：",
        other="如果顯示別的詞，請不要付款。",
        word="核對詞：{word}",
        fold="沿虛線摺疊，把此邊黏在底面下。",
        piles=frozenset({"堆", "一堆"}),
    ),
    "hi": Phrases(
        caption="भुगतान के लिए स्कैन करें",
        pay="भुगतान के लिए मुझे स्कैन करें",
        amount="मुझे स्कैन करें और रकम लिखें",
        price="मुझे स्कैन करें और {price} दें",
        pile="मुझे स्कैन करें: यह ढेर {price} में",
        check="आपके भुगतान पेज पर यही शब्द दिखना चाहिए:",
        other="कोई और शब्द दिखे तो भुगतान न करें।",
        word="जाँच शब्द: {word}",
        fold="बिंदीदार रेखाओं पर मोड़ें और इस पट्टी को नीचे चिपकाएँ।",
        piles=frozenset({"ढेर", "ढेरी"}),
    ),
    "pt-BR": Phrases(
        caption="Escaneie para pagar",
        pay="Escaneie para pagar",
        amount="Escaneie e digite o valor",
        price="Escaneie e pague {price}",
        pile="Escaneie: este monte por {price}",
        check="Sua página de pagamento deve mostrar esta palavra:",
        other="Outra palavra? Não pague.",
        word="Palavra de conferência: {word}",
        fold="Dobre nas linhas tracejadas e cole esta aba embaixo da base.",
        piles=frozenset({"monte", "montinho", "pilha"}),
    ),
    "es": Phrases(
        caption="Escanea para pagar",
        pay="Escanéame para pagar",
        amount="Escanéame y escribe el monto",
        price="Escanéame y paga {price}",
        pile="Escanéame: este montón por {price}",
        check="Tu página de pago debe mostrar esta palabra:",
        other="¿Otra palabra? No pagues.",
        word="Palabra de control: {word}",
        fold="Dobla por las líneas punteadas y pega esta pestaña debajo de la base.",
        piles=frozenset({"montón", "monton", "pila"}),
    ),
    "th": Phrases(
        caption="สแกนเพื่อจ่ายเงิน",
        pay="สแกนเพื่อจ่ายเงิน",
        amount="สแกน แล้วใส่จำนวนเงิน",
        price="สแกน แล้วจ่าย {price}",
        pile="สแกนเลย กองนี้ {price}",
        check="หน้าชำระเงินของคุณต้องแสดงคำนี้:",
        other="ถ้าเป็นคำอื่น อย่าจ่ายเงิน",
        word="คำตรวจสอบ: {word}",
        fold="พับตามเส้นประ แล้วทากาวแถบนี้ติดใต้ฐาน",
        piles=frozenset({"กอง"}),
    ),
    "vi": Phrases(
        caption="Quét mã để trả tiền",
        pay="Quét mã để trả tiền",
        amount="Quét mã và nhập số tiền",
        price="Quét mã và trả {price}",
        pile="Quét mã: đống này {price}",
        check="Trang thanh toán của bạn phải hiện từ này:",
        other="Nếu hiện từ khác, đừng trả tiền.",
        word="Từ kiểm tra: {word}",
        fold="Gấp theo đường nét đứt và dán mép này dưới đáy.",
        piles=frozenset({"đống"}),
    ),
    "id": Phrases(
        caption="Pindai untuk membayar",
        pay="Pindai untuk membayar",
        amount="Pindai dan ketik jumlahnya",
        price="Pindai dan bayar {price}",
        pile="Pindai: tumpukan ini {price}",
        check="Halaman pembayaran Anda harus menampilkan kata ini:",
        other="Kata lain? Jangan bayar.",
        word="Kata pemeriksa: {word}",
        fold="Lipat pada garis putus-putus dan rekatkan lidah ini di bawah alas.",
        piles=frozenset({"tumpuk", "tumpukan"}),
    ),
    "ar": Phrases(
        caption="امسح الرمز للدفع",
        pay="امسح الرمز للدفع",
        amount="امسح الرمز واكتب المبلغ",
        price="امسح الرمز وادفع {price}",
        pile="امسح الرمز: هذه الكومة بسعر {price}",
        check="يجب أن تعرض صفحة الدفع هذه الكلمة:",
        other="إذا ظهرت كلمة أخرى فلا تدفع.",
        word="كلمة التحقق: {word}",
        fold="اطوِ على الخطوط المتقطعة وألصق هذا اللسان تحت القاعدة.",
        piles=frozenset({"كومة"}),
    ),
    "km": Phrases(
        caption="ស្កេនដើម្បីបង់ប្រាក់",
        pay="ស្កេនដើម្បីបង់ប្រាក់",
        amount="ស្កេន រួចបញ្ចូលចំនួនប្រាក់",
        price="ស្កេន រួចបង់ {price}",
        pile="ស្កេនខ្ញុំ៖ គំនរនេះ {price}",
        check="ទំព័របង់ប្រាក់របស់អ្នកត្រូវតែបង្ហាញពាក្យនេះ៖",
        other="បើបង្ហាញពាក្យផ្សេង សូមកុំបង់ប្រាក់។",
        word="ពាក្យផ្ទៀងផ្ទាត់៖ {word}",
        fold="បត់តាមបន្ទាត់ដាច់ៗ ហើយបិទគែមនេះនៅក្រោមបាត។",
        piles=frozenset({"គំនរ"}),
    ),
}
