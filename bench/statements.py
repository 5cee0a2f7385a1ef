"""What it takes to take in a settlement file of a million rows: time, rows per second, and the memory of the process.

Each file is taken in by a process of its own, whose greatest memory is then known; beside it stands a file of a
hundredth of the rows. The wallet's CSV and Alipay's ZIP of GBK files are the two widest apart.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import IO

import django

from bench import ground
from bench.rounds import Arm, Figures, compare, size

ROWS = int(os.environ.get("ROWS", size(1_000_000, 2_000)))

ALIPAY_HEADER = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,"
    "商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,"
    "卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)


def main() -> None:
    if len(sys.argv) > 1:  # The stores are running: the process finds them by its environment.
        django.setup()
        measure(sys.argv[1], int(sys.argv[2]))
        return
    with ground.stores():
        arms = [
            Arm(f"{form}, {count:,} rows", "product", partial(in_a_process_of_its_own, form, count))
            for form in WRITERS
            for count in (ROWS, ROWS // 100)
        ]
        compare(
            "statements",
            arms,
            title="Taking in a settlement file",
            unit="rows",
            rounds=1,
            few="Once: a million rows take minutes.",
            notes=["Each in a process of its own, whose greatest memory is then known."],
        )


def in_a_process_of_its_own(form: str, count: int) -> Figures:
    command = [sys.executable, "-m", "bench.statements", form, str(count)]
    answer: Figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return answer


def measure(form: str, count: int) -> None:
    from django.conf import settings  # noqa: PLC0415  Django is set up only now.
    from django.utils import timezone  # noqa: PLC0415

    from bench import cast  # noqa: PLC0415
    from payments.models import ProviderAccount  # noqa: PLC0415
    from payments.settlement import files  # noqa: PLC0415

    settings.DEBUG = False  # While it is on, Django keeps every statement.
    provider, name = {"wallet": ("sandbox", "settlement"), "alipay": ("alipay", "trade")}[form]
    sealed = cast.account().sealed_credentials
    account, _ = ProviderAccount.objects.get_or_create(
        provider=provider, name="bench", defaults={"funds": "held", "sealed_credentials": sealed}
    )
    with tempfile.TemporaryFile() as file:
        WRITERS[form](file, count)
        written, began = file.tell(), time.perf_counter()
        statement = files.take_in(
            source=account, form=name, file=file, name="bench", day=date(2026, 11, 1 + (count == ROWS)), fetched=True,
            uploaded_by=None, now=timezone.now(),
        )  # fmt: skip
        took = time.perf_counter() - began
    assert statement.state == "imported", statement.failure
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rate": statement.line_count / took, "took_s": took, "file_mb": written / 1e6, "peak_mb": peak}))


def write_wallet(into: IO[bytes], count: int) -> None:
    from tests.settlement_files import write_wallet_file  # noqa: PLC0415  Django is set up only now.

    write_wallet_file(into, count)


def write_alipay(into: IO[bytes], count: int) -> None:
    with (
        zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as bill,
        bill.open("20881_业务明细.csv", "w") as raw,
        io.TextIOWrapper(raw, "gb18030", newline="") as text,
    ):
        text.write(f"#支付宝业务明细查询\r\n{ALIPAY_HEADER}\r\n")
        for number in range(count):
            text.write(
                f"20261122{number:020d}\t,int_{number:026d}\t,交易\t,苹果,2026-11-22 10:55:16,2026-11-22 10:55:23,"
                "stall\t,stall\t,\t,\t,*某某(600***@example.com)\t,2.00,2.00,0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,"
                "\t,0.01,0.00,\r\n"
            )
        text.write(f"#交易合计：{count}笔，商家实收共{2 * count}.00元，商家优惠共0.00元\r\n")
        text.write("#退款合计：0笔，商家实收退款共0.00元，商家优惠退款共0.00元\r\n")


WRITERS: dict[str, Callable[[IO[bytes], int], None]] = {"wallet": write_wallet, "alipay": write_alipay}


if __name__ == "__main__":
    main()
