"""The project's words, held to the code: settings, commands, links, the module map, and steps that really run."""

from __future__ import annotations

import ast
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import get_commands
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from config import product
from config.data_folder import claim
from payments import group_commit, inbox, reconcile
from payments.models import Account, Discrepancy, LedgerEntry, Payment
from payments.providers import client
from tests.test_layout import PRODUCT, ROOT, modules, parsed, python_files, tracked
from tests.test_up import Product

PAGES = ("README.md", "CHANGELOG.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")))
PUBLISHED = "http://127.0.0.1:8000"  # The address that the steps are written for.
ENV_READERS = {"env", "env_bool", "env_list"}
NOT_FOR_PEOPLE = {"DJANGO_SETTINGS_MODULE"}
DJANGOS_OWN = {"AUTH_USER_MODEL", "BASE_DIR", "DATABASES", "LOGGING", "STATIC_URL", "LANGUAGES", "LANGUAGE_CODE"}
UNITS = {"d": 86_400, "h": 3600, "min": 60, "s": 1}


def text(page: str) -> str:
    return (ROOT / page).read_text()


def blocks(page: str, language: str) -> list[tuple[int, str]]:
    """The page's code blocks of one language, each with the line it begins on."""
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)
    return [(text(page)[: match.start(1)].count("\n") + 1, match[1]) for match in found]


def rows(page: str, columns: int) -> dict[str, list[str]]:
    """The tables of a page with so many columns: the cells of each row by the words in its first."""
    split = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text(page).splitlines() if line[:1] == "|"
    ]
    return {name.strip("`"): cells for cells in split if len(cells) == columns for name in cells[0].split("`, `")}


def test_no_page_holds_what_a_merge_left_open() -> None:
    left = re.compile(r"^(<{7} |={7}$|>{7} )", re.MULTILINE)
    assert [page for page in PAGES if left.search(text(page))] == []


# --- Settings --------------------------------------------------------------------------------------------------------


def read_variables() -> dict[str, str | None]:
    """Every variable that the code reads, with its default: "" for none, None where it depends on something."""
    found: dict[str, str | None] = {}
    statements = [node for node in parsed(Path("config/settings.py")).body if not isinstance(node, ast.FunctionDef)]
    for node in (inner for statement in statements for inner in ast.walk(statement)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ENV_READERS:
            name, *default = node.args
            assert isinstance(name, ast.Constant), ast.unparse(node)
            found.setdefault(str(name.value), _default(default, listed=node.func.id == "env_list"))
    for path in python_files(*PRODUCT):
        for name in re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', (ROOT / path).read_text()):
            found.setdefault(name, None)
        for name in re.findall(r'"([A-Z_]+)" in os\.environ', (ROOT / path).read_text()):
            found.setdefault(name, None)
    return found


def _default(given: list[ast.expr], *, listed: bool) -> str | None:
    match given:
        case []:
            return "" if listed else "-"
        case [ast.Constant(value=bool(value))]:
            return str(int(value))
        case [ast.Constant(value=str(value))]:
            return value
        case _:
            return None


def test_every_variable_is_documented_with_its_default() -> None:
    documented = rows("README.md", 3)
    for name, default in read_variables().items():
        if name in NOT_FOR_PEOPLE:
            continue
        assert name in documented, f"{name} is not in README, Configuration"
        _name, said, meaning = documented[name]
        assert len(meaning) > 5, name
        if default is not None:
            assert said.strip("`") == (default or "none"), name


def test_what_make_up_sets_is_documented(tmp_path: Path) -> None:
    folder = claim(tmp_path / "data")
    set_by_up = product.variables(folder, 8000)
    folder.release()
    assert set(set_by_up) <= set(rows("README.md", 3))
    for name, value in set_by_up.items():
        meaning = rows("README.md", 3)[name][2]
        if value == "1":
            assert "`make up`: 1" in meaning, name


def test_nothing_is_documented_that_nobody_reads() -> None:
    known = {*read_variables(), *product.variables.__code__.co_consts}
    variables = [name for name in rows("README.md", 3) if re.fullmatch(r"[A-Z][A-Z_]+", name)]
    assert len(variables) > 30
    assert [name for name in variables if name not in known] == []


def test_what_compose_needs_is_documented() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", text("compose.yaml")))
    assert [name for name in asked if f"`{name}`" not in text("README.md")] == []


def test_every_limit_in_the_code_is_documented_with_its_value() -> None:
    used: set[str] = set()
    for path in python_files("merchants", "payments", "qr"):
        used |= set(re.findall(r"\bsettings\.([A-Z][A-Z_]+)", (ROOT / path).read_text()))
    documented = rows("docs/operating.md", 3)
    for name in sorted(used - set(read_variables()) - DJANGOS_OWN):
        assert name in documented, f"{name} is not in docs/operating.md, Limits in the code"
        assert documented[name][1] == shown(getattr(settings, name)), name


def shown(value: Any) -> str:
    """A limit as the page writes it."""
    if isinstance(value, list | tuple):
        return ", ".join(shown(part) for part in value)
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        unit = next(unit for unit, size in UNITS.items() if seconds % size == 0)
        return f"{seconds // UNITS[unit]} {unit}"
    return f"{value:,}"


# --- Commands, links, words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|\b[A-Z]+=\S+ )make ([a-z]+)", text(page), re.MULTILINE))
    assert named - targets == set()
    ours = {name for name, app in get_commands().items() if app in PRODUCT} | {"migrate"}
    assert set(re.findall(r"manage\.py ([a-z_]+)", text(page))) - ours == set()


def test_every_command_is_named() -> None:
    assert set(re.findall(r"^([a-z]+):.*## ", text("Makefile"), re.MULTILINE)) <= set(
        re.findall(r"make ([a-z]+)", text("README.md"))
    )
    ours = {name for name, app in get_commands().items() if app in PRODUCT}
    assert ours == set(re.findall(r"manage\.py ([a-z_]+)", text("docs/operating.md")))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_inside_the_project_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", text(page)) + re.findall(r'src="([^"]+)"', text(page))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (ROOT / page).parent / target if target else ROOT / page
        assert file.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, link


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_name_in_backticks_exists(page: str) -> None:
    for name in re.findall(r"`((?:config|merchants|payments|qr|tests|bench|docs)/[\w./]+)`", text(page)):
        assert (ROOT / name).exists(), name
    for dotted in re.findall(r"`((?:config|merchants|payments|qr)(?:\.\w+)+)`", text(page)):
        assert _exists(dotted), dotted


def _exists(dotted: str) -> bool:
    """A module, or something that a module defines."""
    path = Path(*dotted.split("."))
    if (ROOT / path).is_dir() or (ROOT / path.with_suffix(".py")).is_file():
        return True
    module = path.parent.with_suffix(".py")
    module = module if (ROOT / module).is_file() else path.parent / "__init__.py"
    defined = {node.name for node in ast.walk(parsed(module)) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return path.name in defined


def test_every_picture_is_small_and_says_what_it_shows() -> None:
    pictures = [ROOT / path for path in tracked() if path.parts[:2] == ("docs", "images")]
    assert sum(picture.stat().st_size for picture in pictures) < 300_000
    assert re.findall(r'<img (?![^>]*alt="[^"]+")', text("README.md")) == []


def test_the_words_of_money_are_all_explained() -> None:
    page = text("docs/money.md")
    words = [*Account.Kind.values, *LedgerEntry.Kind.values, *Payment.Match.values, *Discrepancy.Reason.values]
    assert [word for word in words if f"`{word}`" not in page] == []


def test_every_kind_of_notice_is_explained() -> None:
    kinds: set[str] = set()
    for name in ("meaning", "money_back"):
        kinds |= set(re.findall(r'"((?:payment|refund)_(?:received|in_question|succeeded|failed))"', _source(name)))
    assert len(kinds) == 4
    assert [kind for kind in kinds if f"`{kind}`" not in text("docs/api.md")] == []


def _source(name: str) -> str:
    return (ROOT / "payments" / f"{name}.py").read_text()


def test_every_figure_is_explained_and_every_figure_explained_exists(db: None) -> None:
    # Their counters exist once they are imported.
    assert inbox._refused and reconcile._outcomes and client._calls and group_commit._groups_written
    answer = Client().get("/metrics", SERVER_PORT=str(settings.INTERNAL_PORT))
    assert answer.status_code == 200
    named = set(re.findall(r"^# HELP (pushcart_\w+)", answer.content.decode(), re.MULTILINE))
    named -= {name for name in named if name.endswith("_created")}
    assert named == {name for name in rows("docs/operating.md", 3) if name.startswith("pushcart_")}


# --- The module map --------------------------------------------------------------------------------------------------


def test_the_map_names_every_module_by_its_own_words() -> None:
    lines = dict(re.findall(r"^- `([\w/]+\.py)`: (.+)$", text("README.md"), re.MULTILINE))
    assert sorted(lines) == sorted(str(path) for path in modules())
    for name, words in lines.items():
        sentence = first_sentence(Path(name))
        assert 8 < len(words) <= len(sentence), f"{name}: {sentence}"


def first_sentence(module: Path) -> str:
    said = " ".join((ast.get_docstring(parsed(module)) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z`])", said)[0]


# --- The API ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def operations() -> set[str]:
    """Every operation of the OpenAPI document: "POST /api/v1/items"."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    paths = generator.get_schema(request=None, public=True)["paths"]  # type: ignore[no-untyped-call]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


@pytest.mark.parametrize("page", PAGES)
def test_every_operation_on_a_page_is_in_the_openapi_document(page: str, operations: set[str]) -> None:
    named = set(re.findall(r"`((?:GET|POST|PATCH|PUT|DELETE) /api/v1/[^`?]+)`", text(page)))
    assert named - operations == set()


def test_every_operation_is_in_the_table_of_the_api(operations: set[str]) -> None:
    named = set(re.findall(r"`((?:GET|POST|PATCH|PUT|DELETE) /api/v1/[^`?]+)`", text("docs/api.md")))
    assert operations - named == set()


def test_every_address_in_the_steps_is_in_the_openapi_document(operations: set[str]) -> None:
    patterns = [re.sub(r"\\{\w+\\}", "[^/]+", re.escape(operation)) for operation in operations]
    steps = "".join(code for page in PAGES for _line, code in blocks(page, "python"))
    called = re.findall(r'\.(get|post|patch|delete)\(\s*f"\{API\}(/(?:\{[^}]*\}|[^"?{])*)"', steps)
    assert len(called) >= 10
    for method, path in called:
        asked = f"{method.upper()} /api/v1" + re.sub(r"\{[^}]*\}", "x", path)
        assert any(re.fullmatch(pattern, asked) for pattern in patterns), asked


@pytest.fixture
def running() -> Iterator[Product]:
    """The product as `make up` starts it."""
    place = Path(tempfile.mkdtemp(prefix="pushcart-docs-"))
    place.chmod(0o711)
    started = Product(place / "data")
    try:
        assert started.says("Pushcart is ready"), started.said
        yield started
        started.process.send_signal(signal.SIGTERM)
        started.process.wait(60)
    finally:
        started.end()
        elsewhere = place / "data" / "servers.home"
        home = [Path(elsewhere.read_text().strip())] if elsewhere.exists() else []
        for folder in (*home, place):
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.xdist_group("servers")
@pytest.mark.skipif(not Path("/proc").exists(), reason="the product's processes are found in /proc")
def test_the_steps_of_the_tour_and_of_the_api_page_run_as_they_stand(running: Product) -> None:
    names: dict[str, Any] = {}
    for page in ("README.md", "docs/api.md"):
        for line, code in blocks(page, "python"):
            there = code.replace(PUBLISHED, f"http://127.0.0.1:{running.port}")
            exec(compile("\n" * (line - 1) + there, str(ROOT / page), "exec"), names)
    assert names["entries"][-1]["kind"] == "paid"
