"""The product that runs on this machine: what it leaves for another shell, so that a command there can join it.

`environment.json` in the data folder holds every variable of the running product. It is removed when the product
stops; one that a killed product left behind is recognised, because the process it names is gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from config.data_folder import DataFolder
from config.processes import CannotStart, started_at

BASE_DIR = Path(__file__).resolve().parent.parent
ENVIRONMENT_FILE = "environment.json"
SUPERVISOR = "SUPERVISOR"  # "<process id> <when it began>" of the process that keeps the product running.
DEFAULT_PORT = "8000"


def data_dir(environment: Mapping[str, str]) -> Path:
    """Where the product of this environment keeps its data: DATA_DIR, or `.data/<PORT>` in the checkout."""
    return Path(
        environment.get("DATA_DIR") or BASE_DIR / ".data" / (environment.get("PORT") or DEFAULT_PORT)
    ).absolute()


def announce(folder: DataFolder, variables: Mapping[str, str]) -> None:
    """Writes down the variables of the product that our process keeps running."""
    supervisor = {SUPERVISOR: f"{os.getpid()} {started_at(os.getpid())}"}
    folder.write(ENVIRONMENT_FILE, json.dumps({**variables, **supervisor}, indent=2, sort_keys=True) + "\n")


def withdraw(folder: DataFolder) -> None:
    """Takes the announcement back."""
    (folder.path / ENVIRONMENT_FILE).unlink(missing_ok=True)


def join(environment: MutableMapping[str, str]) -> None:
    """Adds the running product's variables to ours; what is set already stays.

    Raises CannotStart, whose sentence says what to do, when no product runs there.
    """
    place = data_dir(environment)
    port = environment.get("PORT") or DEFAULT_PORT
    hint = "Start it with `make up`" + ("" if port == DEFAULT_PORT else f" (PORT={port})") + ", or set DATABASE_URL."
    try:
        variables: dict[str, str] = json.loads((place / ENVIRONMENT_FILE).read_text())
    except FileNotFoundError:
        raise CannotStart(f"No product runs with its data in {place}. {hint}") from None
    except PermissionError:
        raise CannotStart(f"The product in {place} was started by another user: run this as that user.") from None
    pid, _, moment = variables.pop(SUPERVISOR).partition(" ")
    if started_at(int(pid)) != moment:
        raise CannotStart(f"The product in {place} was killed and runs no more. {hint}")
    for name, value in variables.items():
        environment.setdefault(name, value)
