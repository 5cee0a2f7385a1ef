"""A table tent: both of its faces are read, one of them on its head, and the folds lie between them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from qr import tent
from qr.labels import PAPERS
from tests import distortions, printed, readers
from tests.test_poster import POSTERS, TEXT


@pytest.mark.parametrize("paper", ["a4", "letter"])
@pytest.mark.parametrize("name", ["zh", "ar", "dressed"])
def test_each_face_carries_the_code_and_one_stands_on_its_head(name: str, paper: str) -> None:
    file = tent.pdf(POSTERS[name], paper)
    [page] = printed.pages(file, 100)
    per_mm = 100 / 25.4
    folds = tent.folds(paper)
    faces = [
        page.crop((0, round(above * per_mm), page.width, round(below * per_mm))) for above, below in pairwise(folds)
    ]
    assert [readers.texts(face) for face in faces] == [[TEXT], [TEXT]]
    assert [readers.second(distortions.tilted(face)) for face in faces] == [[TEXT], [TEXT]]
    assert list(faces[0].rotate(180).convert("1").histogram()) == pytest.approx(
        list(faces[1].convert("1").histogram()), rel=0.02
    )
    assert all(printed.fonts(file).values())


@pytest.mark.parametrize("paper", ["a4", "letter"])
def test_the_folded_sheet_stands(paper: str) -> None:
    _wide, high = PAPERS[paper]
    flap, ridge, foot = tent.folds(paper)
    face, base = ridge - flap, high - foot
    assert foot - ridge == face
    assert 0.5 * face < base < 0.9 * face  # A roof of two equal sides that neither falls over nor lies flat.
    assert 15 <= flap < base  # The flap is glued under the base.


def test_it_says_how_it_is_folded() -> None:
    assert "Fold along the dashed lines and glue this flap under the base." in printed.texts(
        tent.pdf(POSTERS["en"], "letter")
    )
