"""The house as it is meant to be: what stands where, how long it may grow, and which tests know which modules."""

from __future__ import annotations

import ast
import gc
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models

pytestmark = pytest.mark.xdist_group("layout")  # One worker parses all of the code, once.

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("config", "merchants", "payments", "qr")
TOP = {
    "CHANGELOG.md", "Dockerfile", "LICENSE", "Makefile", "README.md", "compose.yaml", "manage.py", "pyproject.toml",
    "requirements.txt", "requirements-dev.txt", "requirements-bootstrap.txt",
    "bench", "docs", "tests", *PRODUCT,
}  # fmt: skip
NAMED_FOR_ITS_KIND = {"services", "selectors", "utils", "core", "common", "helpers", "managers"}
LINES_MAX, TEST_LINES_MAX, FUNCTION_LINES_MAX = 400, 500, 70
# Settings are one file by design: whoever looks for a limit looks in one place.
OWN_LIMITS = {Path("config/settings.py"): 500}

# Whoever speaks to a person at a terminal prints; everything else writes the journal.
PRINTS = {
    "config/up.py": "the supervisor says where to go",
    "payments/sandbox/__main__.py": "the pretend wallet's command line",
    "merchants/channels/console.py": "its text messages are lines on a screen",
}

# Modules without a test file of their own name, what tests them instead, and why it does.
TESTED_BY = {
    "*/apps.py": ("tests/test_layout.py", "a name and a hook; every test loads them"),
    "*/urls.py": ("tests/test_docs.py", "each address of the API is looked up in the OpenAPI document"),
    "*/models/*.py": ("tests/test_books.py", "tables have no behaviour; their laws are asked of the database"),
    "config/api.py": ("tests/test_payments_api.py", "problems and cursor pages as a client of the API meets them"),
    "config/asgi.py": ("tests/test_stream.py", "the process of the stream is started for real"),
    "config/celery.py": ("tests/walks/test_killed.py", "a real worker finds its tasks, is killed, and comes back"),
    "config/data_folder.py": ("tests/test_up.py", "two products contend for one folder"),
    "config/postgresql/base.py": ("tests/test_databases.py", "sessions with servers that are gone or write no more"),
    "config/prepare.py": ("tests/test_up.py", "a fresh product is prepared at its first start"),
    "config/processes.py": ("tests/test_up.py", "processes are stopped, orphaned and killed"),
    "config/product.py": ("tests/test_up.py", "the whole product is started with its variables and ports"),
    "config/programs.py": ("tests/test_embedded.py", "the servers' programs are found and run by their user"),
    "config/running.py": ("tests/test_up.py", "a command joins the running product"),
    "config/settings.py": ("tests/test_docs.py", "every setting is documented; every process reads them"),
    "config/web.py": ("tests/test_up.py", "both its ports answer, and figures on one of them alone"),
    "config/clock.py": ("tests/test_up.py", "the beat of a running product sweeps"),
    "payments/webhook_answers.py": ("tests/test_webhooks.py", "every answer as a provider reads it"),
    "config/wsgi.py": ("tests/walks/test_customer_pays.py", "the web process serves a whole walk by it"),
    "merchants/acts.py": ("tests/test_audit.py", "an act, its reason and its line in the trail"),
    "merchants/admin.py": ("tests/test_desk.py", "operators open these pages"),
    "merchants/announcements.py": ("tests/test_stream.py", "a stream is woken through them, and without them"),
    "merchants/bodies.py": ("tests/test_items.py", "requests that carry too much"),
    "merchants/channels/*.py": ("tests/test_channels.py", "one file for the three channels"),
    "merchants/lists.py": ("tests/test_payments_admin.py", "the back office's lists over many rows"),
    "merchants/management/commands/add_operator.py": ("tests/test_desk.py", "operators enter with what it gave them"),
    "merchants/notify.py": ("tests/test_notices.py", "named for what it writes"),
    "merchants/one_time_codes.py": ("tests/test_sign_in.py", "codes are sent, guessed at and redeemed over HTTP"),
    "merchants/phone_page.py": ("tests/browser/test_vendor.py", "the page is used in Chromium"),
    "merchants/payment_text_shapes.py": ("tests/test_payment_texts.py", "what she asks for, over HTTP"),
    "merchants/push_shapes.py": ("tests/test_pushing_api.py", "fields as a phone writes and reads them"),
    "merchants/push_words.py": ("tests/test_pushing.py", "what a phone shows, decrypted"),
    "merchants/quiet_hours.py": ("tests/test_pushing.py", "a phone is told before, in and after them"),
    "merchants/refusals.py": ("tests/test_sign_in.py", "refusals as a client reads them"),
    "merchants/shapes.py": ("tests/test_items.py", "fields as a client writes and reads them"),
    "merchants/tasks.py": ("tests/walks/test_customer_pays.py", "a real worker sends and forgets"),
    "merchants/tokens.py": ("tests/test_sign_in.py", "tokens are given, used and taken back"),
    "merchants/vapid.py": ("tests/test_push_services.py", "a service reads who we are"),
    "merchants/views/devices.py": ("tests/test_devices.py", "devices over HTTP"),
    "merchants/views/entrance.py": ("tests/test_sign_in.py", "signing in over HTTP"),
    "merchants/views/files.py": ("tests/test_photos.py", "photos over HTTP"),
    "merchants/views/hearing.py": ("tests/test_notices.py", "notices over HTTP"),
    "merchants/views/payment_texts.py": ("tests/test_payment_texts.py", "she asks for them over HTTP"),
    "merchants/views/pushing.py": ("tests/test_pushing_api.py", "subscriptions over HTTP"),
    "merchants/views/scanning.py": (
        "tests/test_batches.py",
        "blanks are bound over HTTP, as is asked whose",
    ),
    "merchants/views/selling.py": ("tests/test_items.py", "items, codes and the shop over HTTP"),
    "payments/activity_views.py": ("tests/test_activity.py", "what a code did, over HTTP"),
    "payments/account_shapes.py": ("tests/test_accounts.py", "a shop's accounts as its owner reads and writes them"),
    "payments/account_views.py": ("tests/test_accounts.py", "a shop's accounts over HTTP"),
    "payments/admin/accounts.py": ("tests/test_account_desk.py", "operators open, check and replace accounts"),
    "payments/admin/credential_forms.py": ("tests/test_account_desk.py", "the forms as operators fill them in"),
    "payments/admin/fee_forms.py": ("tests/test_fee_desk_pages.py", "the form as operators fill it in"),
    "payments/admin/fees.py": ("tests/test_fee_desk_pages.py", "operators read contracts and add to them"),
    "payments/admin/payouts.py": ("tests/test_payouts_admin.py", "operators prove, release, cancel and download"),
    "payments/admin/matches.py": ("tests/test_match_desk.py", "operators read, undo and make matches"),
    "payments/admin/parts.py": ("tests/test_today.py", "a chart and tables, as the page of today shows them"),
    "payments/admin/shops.py": ("tests/test_story.py", "a shop is found by anything of it"),
    "payments/admin/story.py": ("tests/test_story.py", "the page of a shop, with its sums"),
    "payments/admin/today.py": ("tests/test_today.py", "the page, with its figures"),
    "payments/admin/statements.py": ("tests/test_statement_desk.py", "operators bring files and look at their lines"),
    "merchants/desk_words.py": ("tests/laws/test_desk_is_marked.py", "every word of the desk is translated"),
    "payments/admin/find.py": ("tests/test_story.py", "one search leads to a shop and to anything of it"),
    "payments/admin/refunds.py": ("tests/test_refund_reviews.py", "operators look at refunds that are held"),
    "payments/admin/reported.py": ("tests/test_reported.py", "operators read what vendors noted"),
    "payments/admin/*.py": ("tests/test_payments_admin.py", "one file for the back office's pages of money"),
    "payments/settlement/banking.py": ("tests/test_banking.py", "lines of our bank, and what they pay"),
    "payments/settlement/differences.py": ("tests/test_totals.py", "questions arise where settlements are counted"),
    "payments/settlement/bank_pairs.py": ("tests/test_bank_pairs.py", "the pure rules"),
    "payments/settlement/suspended.py": ("tests/test_banking.py", "credits that fit nothing"),
    "payments/settlement/totals.py": ("tests/test_totals.py", "settlements are counted"),
    "payments/code_rhythms.py": ("tests/test_code_watch.py", "what is learnt is held against silences there"),
    "payments/alarm_shapes.py": ("tests/test_code_watch.py", "alarms as a client reads and answers them"),
    "payments/alarm_views.py": ("tests/test_code_watch.py", "alarms over HTTP"),
    "payments/happened.py": ("tests/test_search.py", "pages of payments in that order"),
    "payments/payment_filter.py": ("tests/test_search.py", "each filter over HTTP"),
    "payments/takings_shapes.py": ("tests/test_takings.py", "a day as a client reads it"),
    "payments/book_shapes.py": ("tests/test_ledger_api.py", "the book as a client reads it"),
    "payments/book_views.py": ("tests/test_ledger_api.py", "the book over HTTP"),
    "payments/cases.py": ("tests/stories/test_remedies.py", "each remedy is a story with its numbers"),
    "payments/contested.py": ("tests/stories/test_contested.py", "each dispute is a story with its numbers"),
    "payments/owners.py": ("tests/test_accounts.py", "every owner is told, with the change she is told of"),
    "payments/receipt_key_views.py": ("tests/test_receipt_keys.py", "the keys over HTTP"),
    "payments/archive_files.py": ("tests/test_archive.py", "files are written, cut, changed and read"),
    "payments/whole_book.py": ("tests/test_retiring.py", "laws and exports over months that are gone"),
    "payments/management/commands/restore_partition.py": ("tests/test_archive.py", "a month comes back by it"),
    "payments/management/commands/retire_partitions.py": ("tests/test_archive.py", "a month leaves by it"),
    "payments/management/commands/withdraw_receipt_key.py": ("tests/test_receipt_keys.py", "an operator ends a key"),
    "qr/proof_views.py": ("tests/test_proofs.py", "the code on the receipt and the page about it, over HTTP"),
    "payments/payouts/accounts.py": ("tests/test_payouts_accounts.py", "owners enter them over HTTP"),
    "payments/payouts/bank_lines.py": ("tests/test_bank_lines.py", "a name that no other module has"),
    "payments/payouts/bank_numbers.py": ("tests/test_bank_numbers.py", "a name that no other module has"),
    "payments/payouts/batches.py": ("tests/test_payouts_admin.py", "operators handle them"),
    "payments/payouts/channels.py": ("tests/test_sending.py", "payouts leave by them"),
    "payments/payouts/endings.py": ("tests/test_outcomes.py", "the law of the ends, by the hundred"),
    "payments/payouts/outcomes.py": ("tests/test_outcomes.py", "a name that no other module has"),
    "payments/payouts/owed.py": ("tests/test_owed.py", "the same"),
    "payments/payouts/pain001.py": ("tests/test_pain001.py", "the same"),
    "payments/payouts/preparing.py": ("tests/test_preparing.py", "the same"),
    "payments/payouts/sandbox_bank.py": ("tests/test_sending.py", "the pretend bank is a program of its own"),
    "payments/payouts/sending.py": ("tests/test_sending.py", "a name that no other module has"),
    "payments/payouts/shapes.py": ("tests/test_payouts_api.py", "payouts as a client reads them"),
    "payments/payouts/terms.py": ("tests/test_preparing.py", "turns come by them"),
    "payments/payouts/views.py": ("tests/test_payouts_api.py", "payouts over HTTP"),
    "payments/payouts/working_days.py": ("tests/test_working_days.py", "a name that no other module has"),
    "payments/chart.py": ("tests/stories/test_money_in.py", "each movement is a story with its numbers"),
    "payments/endings.py": ("tests/test_remedies.py", "the table, as operators choose from it"),
    "payments/facts.py": ("tests/laws/test_the_shell.py", "facts are loaded and locked on the real tables"),
    "payments/fee_shapes.py": ("tests/test_fees_api.py", "what a shop is charged, as a client reads it"),
    "payments/fee_views.py": ("tests/test_fees_api.py", "what a shop is charged, over HTTP"),
    "payments/known.py": ("tests/test_meaning.py", "the facts of decisions"),
    "payments/fees.py": ("tests/test_matching.py", "what a provider keeps is held against it"),
    "payments/management/commands/check_books.py": ("tests/test_books.py", "the command asks what the module knows"),
    "payments/management/commands/enable_sandbox.py": ("tests/walks/conftest.py", "each walk opens its account by it"),
    "payments/management/commands/export_entries.py": ("tests/test_verify_chain.py", "what it writes is verified"),
    "payments/money_back.py": ("tests/stories/test_money_back.py", "each way back is a story with its numbers"),
    "payments/operating.py": ("tests/test_payments_admin.py", "operators act through it"),
    "payments/providers/base.py": ("tests/test_sandbox_provider.py", "the protocol, as one provider keeps it"),
    "payments/providers/alipay.py": ("tests/test_alipay_provider.py", "`alipay` alone would name its SDK"),
    "payments/providers/mercadopago.py": ("tests/test_mercadopago_provider.py", "the same"),
    "payments/providers/pix.py": ("tests/test_pix_provider.py", "the same"),
    "payments/providers/razorpay.py": ("tests/test_razorpay_provider.py", "the same"),
    "payments/providers/razorpay_calls.py": ("tests/test_razorpay_provider.py", "refusals, as the module meets them"),
    "payments/providers/stripe.py": ("tests/test_stripe_provider.py", "the same"),
    "payments/providers/stripe_calls.py": ("tests/test_stripe_provider.py", "refusals, as the module meets them"),
    "payments/providers/wechatpay.py": ("tests/test_wechatpay_provider.py", "the same"),
    "payments/providers/sandbox.py": ("tests/test_sandbox_provider.py", "`sandbox` alone would name the wallet"),
    "payments/providers/sandbox_statement.py": ("tests/test_sandbox_provider.py", "the wallet's files, good and bad"),
    "payments/recording.py": ("tests/laws/test_the_shell.py", "decisions are written on the real tables"),
    "payments/reported_views.py": ("tests/test_reported.py", "reported sales over HTTP"),
    "payments/sandbox/*.py": ("tests/sandbox/test_wallet.py", "a program of its own with tests of its own"),
    "payments/settlement/candidates.py": ("tests/test_matching.py", "what lines may be about, on the real tables"),
    "payments/settlement/judging.py": ("tests/test_judging.py", "a pure decision"),
    "payments/settlement/matching.py": ("tests/test_matching.py", "a module of a package"),
    "payments/settlement/missing.py": ("tests/test_missing.py", "the same"),
    "payments/settlement/pairing.py": ("tests/test_matching.py", "judgements are written on the real tables"),
    "payments/settlement/proof.py": ("tests/test_repairs.py", "a line is kept and read again"),
    "payments/settlement/repairs.py": ("tests/test_repairs.py", "a module of a package"),
    "payments/settlement/stated.py": ("tests/test_judging.py", "the facts of judgements"),
    "payments/settlement/undoing.py": ("tests/test_undoing.py", "a module of a package"),
    "payments/settlement/bank_csv.py": ("tests/test_bank_csv.py", "a file of its own name"),
    "payments/settlement/camt053.py": ("tests/test_camt053.py", "a file of its own name"),
    "payments/settlement/fetching.py": ("tests/test_fetching.py", "a file of its own name"),
    "payments/settlement/files.py": ("tests/test_files.py", "a file of its own name"),
    "payments/settlement/bank_accounts.py": ("tests/test_statement_desk.py", "operators enter accounts by it"),
    "payments/settlement/formats.py": ("tests/test_files.py", "files of every source are taken in through it"),
    "payments/settlement/replacing.py": ("tests/test_files.py", "a day gets another file, and a line is told again"),
    "payments/settlement/storing.py": ("tests/test_files.py", "rows are kept as files are taken in"),
    "payments/shapes.py": ("tests/test_payments_api.py", "payments as a client reads them"),
    "payments/views.py": ("tests/test_webhooks.py", "named for the address that providers call"),
    "qr/admin.py": ("tests/test_code_desk.py", "operators find codes, act on them, and make batches"),
    "qr/management/commands/demo.py": ("tests/browser/test_demo.py", "it needs the whole product running"),
    "qr/finder.py": ("tests/test_read.py", "a program of its own, started to find codes in pictures"),
    "qr/page.py": ("tests/test_scan.py", "the policy and size of each page"),
    "qr/payloads/amounts.py": ("tests/test_emvco.py", "amounts as payloads say them"),
    "qr/payloads/emvco.py": ("tests/test_emvco.py", "a name that no other module has"),
    "qr/payloads/emvco_fields.py": ("tests/test_emvco_rules.py", "each rule, broken once"),
    "qr/payloads/khqr.py": ("tests/test_khqr.py", "a file of its own name"),
    "qr/payloads/latin.py": ("tests/test_latin.py", "a file of its own name"),
    "qr/payloads/pix.py": ("tests/test_pix_payload.py", "`pix` alone would name the bank's API"),
    "qr/payloads/promptpay.py": ("tests/test_promptpay.py", "a file of its own name"),
    "qr/payloads/vietqr.py": ("tests/test_vietqr.py", "a file of its own name"),
    "qr/payloads/tlv.py": ("tests/test_tlv.py", "a name that no other module has"),
    "qr/payloads/base.py": ("tests/test_payloads.py", "what every kind of payload is read into"),
    "qr/payloads/epc.py": ("tests/test_epc.py", "SEPA transfers, beside segno's"),
    "qr/payloads/national.py": ("tests/test_national.py", "networks that are read only"),
    "qr/payloads/swiss.py": ("tests/test_swiss.py", "bills, beside the qrbill package's"),
    "qr/payloads/upi.py": ("tests/test_upi.py", "UPI links"),
    "qr/payloads/wallets.py": ("tests/test_wallets.py", "codes of WeChat Pay and Alipay"),
    "qr/payloads/web.py": ("tests/test_web.py", "links, ours and those that look like ours"),
    "qr/payloads/words.py": ("tests/test_words.py", "what people are told"),
    "qr/sorry.py": ("tests/test_scan.py", "codes by which nothing can be paid"),
    "qr/wallet_code_admin.py": ("tests/test_wallet_codes.py", "operators read and retire them"),
    "qr/wallet_code_pictures.py": ("tests/test_wallet_codes.py", "pictures over HTTP"),
    "qr/wallet_code_shapes.py": ("tests/test_wallet_codes.py", "fields as a client writes and reads them"),
    "qr/wallet_code_views.py": ("tests/test_wallet_codes.py", "wallet codes over HTTP"),
    "qr/views.py": ("tests/test_scan.py", "named for what the customer does"),
}
# Test files that are about no single module.
OF_THE_WHOLE = {
    "test_layout.py", "test_docs.py", "test_every_list.py", "test_load.py", "test_performance.py", "test_sharding.py",
}  # fmt: skip

# Written in pieces, so that this file does not break its own rule.
REGISTRIES = re.compile(
    r"\b(" + "|".join([r"py" + r"pi\.org", r"python" + r"hosted\.org", r"npm" + r"js\.(com|org)"]) + ")"
)
MACHINE_PATHS = re.compile(
    r"(?<![\w.:/])/(" + "|".join(["work" + "/", "root" + "/", "home" + "/", "Users" + "/"]) + ")"
)


@cache
def tracked() -> tuple[Path, ...]:
    """What belongs to the project, relative to its root: as git says, or everything when it lies outside of git."""
    asked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if asked.returncode == 0:
        found = [Path(name) for name in asked.stdout.split("\0") if name]
        return tuple(sorted(path for path in found if (ROOT / path).is_file()))
    every = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    installed = {"__pycache__", "node_modules"}
    return tuple(sorted(path for path in every if installed.isdisjoint(path.parts) and path.parts[0][0] != "."))


def python_files(*tops: str) -> list[Path]:
    """The Python files below these folders but the migrations, which Django writes."""
    found = [path for path in tracked() if path.suffix == ".py" and "migrations" not in path.parts]
    return [path for path in found if path.parts[0] in tops] if tops else found


def modules() -> list[Path]:
    """The product's own modules: every file that has something in it, packages that only gather names left out."""
    return [path for path in python_files(*PRODUCT) if path.name != "__init__.py"]


@cache
def parsed(path: Path) -> ast.Module:
    """The file's tree. The collector would walk through all trees that are kept, again and again, and find nothing."""
    gc.disable()
    try:
        return ast.parse((ROOT / path).read_text())
    finally:
        gc.enable()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_the_top_level_is_what_it_is_and_nothing_else() -> None:
    found = {path.parts[0] for path in tracked() if not path.parts[0].startswith(".")}
    assert found == TOP


def test_no_module_is_named_for_its_kind() -> None:
    assert [path for path in python_files(*PRODUCT) if {path.stem, *path.parts[:-1]} & NAMED_FOR_ITS_KIND] == []


def test_every_module_opens_with_a_docstring() -> None:
    said = [path for path in python_files() if (ROOT / path).read_text().strip()]
    assert [path for path in said if not ast.get_docstring(parsed(path))] == []


def test_no_file_outgrows_what_a_person_can_hold() -> None:
    lengths = {path: len((ROOT / path).read_text().splitlines()) for path in python_files()}
    limits = {path: TEST_LINES_MAX if path.parts[0] == "tests" else LINES_MAX for path in lengths} | OWN_LIMITS
    assert {str(path): lines for path, lines in lengths.items() if lines > limits[path]} == {}


def test_no_function_outgrows_a_screen() -> None:
    long = {
        f"{path}:{function.name}": lines
        for path in python_files()
        for function in functions(path)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert long == {}


def test_nothing_is_imported_inside_a_function() -> None:
    # A bench may: it sets Django up itself, on stores that it has just started.
    hidden = [
        f"{path}:{node.lineno}"
        for path in python_files("tests", *PRODUCT)
        for function in functions(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert hidden == []


def test_nothing_imports_the_pretend_wallet() -> None:
    outside = [path for path in python_files() if path.parts[:2] not in {("payments", "sandbox"), ("tests", "sandbox")}]
    assert [path for path in outside if "payments.sandbox" in _imported(path)] == []


def test_the_product_prints_only_where_a_person_reads() -> None:
    printing = {
        str(path)
        for path in python_files(*PRODUCT)
        if "commands" not in path.parts
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing == set(PRINTS)


@pytest.mark.parametrize("words", [REGISTRIES, MACHINE_PATHS], ids=["a package registry", "a path of one machine"])
def test_no_file_names(words: re.Pattern[str]) -> None:
    texts = [path for path in tracked() if path.suffix not in {".png", ".jpg", ".ttf"}]
    assert [str(path) for path in texts if words.search((ROOT / path).read_text(errors="replace"))] == []


def test_money_in_a_table_is_a_whole_number() -> None:
    fields = [
        field for name in ("merchants", "payments", "qr") for model in apps.get_app_config(name).get_models()
        for field in model._meta.get_fields() if isinstance(field, models.Field)
    ]  # fmt: skip
    assert [str(field) for field in fields if isinstance(field, models.FloatField | models.DecimalField)] == []
    money = [field for field in fields if re.fullmatch(r".*amount|debits|credits", field.name)]
    assert len(money) >= 8
    assert [str(field) for field in money if not isinstance(field, models.BigIntegerField)] == []


def test_the_code_that_moves_money_neither_divides_nor_knows_a_float() -> None:
    """`Decimal` is for showing and reading an amount only, and stands in `merchants/money.py`."""
    movers = ["chart", "known", "meaning", "money_back", "facts", "reconcile", "ledger", "refunds", "checkout", "books",
              "fees", "settlement/banking", "settlement/differences", "settlement/bank_pairs", "settlement/totals",
              "settlement/judging", "settlement/stated", "settlement/candidates", "settlement/matching",
              "settlement/pairing", "settlement/undoing", "cases", "endings", "remedies"]  # fmt: skip
    movers += [f"payouts/{name}" for name in ("owed", "preparing", "endings", "outcomes", "bank_lines", "pain001")]
    found = []
    for path in [Path("payments") / f"{name}.py" for name in movers]:
        for node in ast.walk(parsed(path)):
            divides = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
            inexact = isinstance(node, ast.Constant) and isinstance(node.value, float)
            named = isinstance(node, ast.Name) and node.id in {"float", "Decimal"}
            if divides or inexact or named:
                found.append(f"{path}:{getattr(node, 'lineno', 0)}")
    assert found == []


def test_every_module_has_a_test_of_its_name_or_a_reason() -> None:
    unknown = [str(path) for path in modules() if not _own_test(path) and _tested_by(path) is None]
    assert unknown == [], "add tests/test_<module>.py, or name what tests it in TESTED_BY"


def test_every_reason_is_about_a_module_and_names_a_test_that_exists() -> None:
    for pattern, (test, _reason) in TESTED_BY.items():
        matching = [path for path in modules() if fnmatch(str(path), pattern)]
        assert matching, f"{pattern} names no module"
        assert (ROOT / test).is_file(), f"{test} does not exist"


def test_every_test_file_mirrors_a_module() -> None:
    """`test_<module>.py`, or `test_<module>_<aspect>.py` where one file would be too long."""
    named = {Path(test).name for test, _reason in TESTED_BY.values()} | OF_THE_WHOLE
    stems = {path.stem for path in modules()} | {name.removeprefix("test_").removesuffix(".py") for name in named}
    strays = [
        path.name for path in python_files("tests")
        if len(path.parts) == 2 and path.name.startswith("test_")
        and not any(path.stem == f"test_{stem}" or path.stem.startswith(f"test_{stem}_") for stem in stems)
    ]  # fmt: skip
    assert strays == []


def _own_test(module: Path) -> bool:
    """A test file of its own name; a module inside a package shares that name with others, and needs a reason.

    Commands and the parts of providers have names that nothing else has.
    """
    alone = len(module.parts) == 2 or not {"commands", "providers"}.isdisjoint(module.parts)
    return alone and Path("tests") / f"test_{module.stem}.py" in tracked()


def _tested_by(module: Path) -> str | None:
    return next((test for pattern, (test, _reason) in TESTED_BY.items() if fnmatch(str(module), pattern)), None)


def _imported(path: Path) -> set[str]:
    """The dotted names that a file imports, each with the packages above it."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {".".join(name.split(".")[:end]) for name in found for end in range(1, name.count(".") + 2)}
