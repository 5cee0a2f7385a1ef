"""Names in plain Latin letters."""

from __future__ import annotations

import pytest

from qr.payloads import latin


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("Pão de Açúcar", "Pao de Acucar"),
        ("Lê Thị Đào", "Le Thi Dao"),
        ("  two   words ", "two words"),
        ("Łódź Straße", "Lodz Strasse"),
        ("ＡＢＣ", "ABC"),
        ("João’s “Café” – 2", 'Joao\'s "Cafe" - 2'),
        ("水果", "水果"),
        ("फल वाली", "फल वाली"),
        ("ផ្លែឈើ", "ផ្លែឈើ"),
        ("", ""),
    ],
)
def test_accents_go_and_other_scripts_stay(typed: str, plain: str) -> None:
    assert latin.plain(typed) == plain


@pytest.mark.parametrize(
    ("typed", "longest", "kept"),
    [
        ("Barraca da Dona Maria das Graças", 25, "Barraca da Dona Maria das"),
        ("Barraca da Dona Mariana Silva", 22, "Barraca da Dona"),
        ("Supercalifragilistic", 15, "Supercalifragil"),
        ("Ao Supercalifragilistic", 15, "Ao Supercalifra"),
        ("São João", 15, "Sao Joao"),
    ],
)
def test_a_long_name_is_cut_between_words_where_enough_is_left(typed: str, longest: int, kept: str) -> None:
    assert latin.shortened(typed, longest) == kept
