"""Starts the pretend wallet from the command line and ends it cleanly: `python -m payments.sandbox --help`."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from .behaviours import Timings
from .clerk import Clerk
from .deliveries import Courier
from .office import Office
from .server import WalletServer
from .store import DatabaseInUse, Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    options = parse(arguments)
    level = logging.DEBUG if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        store = Store(options.database)
        server = WalletServer((options.host, options.port))
    except (DatabaseInUse, OSError) as problem:
        print(f"The pretend wallet cannot start: {problem}", file=sys.stderr)
        return 1
    port = server.server_address[1]
    public_url = (options.public_url or f"http://{_in_url(options.host)}:{port}").rstrip("/")
    timings = Timings().at_pace(options.pace)
    server.office = Office(store, timings, public_url, options.control_key)
    courier, clerk = Courier(store, timings), Clerk(store, timings)
    store.after_commit = courier.wake
    # Threads inherit the mask, so the signal stays pending until the line that waits for it, however early it comes.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="server")
    serving.start()
    courier.start()
    clerk.start()
    print(f"Pretend wallet ready on {public_url} (no real money moves)", flush=True)
    signal.sigwait(ends)
    server.stop()
    serving.join()
    clerk.stop()
    courier.stop()
    store.close()
    return 0


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line. The control key may come from SANDBOX_CONTROL_KEY, where other users do not see it."""
    parser = argparse.ArgumentParser(prog="python -m payments.sandbox", description="A pretend payment wallet.")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (0.0.0.0 in a container)")
    parser.add_argument("--port", type=int, required=True, help="port to bind; 0 takes a free one")
    parser.add_argument("--database", type=Path, required=True, help="SQLite file; made when it is not there")
    parser.add_argument("--control-key", default=os.environ.get("SANDBOX_CONTROL_KEY", ""), help="secret of /control")
    parser.add_argument("--public-url", default="", help="where payers reach it (default: http://HOST:PORT)")
    parser.add_argument("--pace", type=float, default=1.0, help="multiplies every wait; small for tests")
    parser.add_argument("--verbose", action="store_true", help="log every request")
    options = parser.parse_args(arguments)
    if len(options.control_key) < 16:
        parser.error("--control-key or SANDBOX_CONTROL_KEY must have at least 16 characters")
    if not 0 < options.pace <= 1000:
        parser.error("--pace must be above 0 and at most 1000")
    return options


def _in_url(host: str) -> str:
    """Write a bind address as the host of a URL on this machine."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - asked here, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main())
