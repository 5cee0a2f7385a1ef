"""Tables at once: an empty database comes to the very tables of one that went through all of their history."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connection, models
from django.db.migrations import CreateModel
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import OperationWriter

from merchants.tables_at_once import TablesAtOnce

HISTORY = [("merchants", "0012_notices_by_statement"), ("payments", "0015_timers")]
AT_ONCE = [
    ("merchants", "0001_squashed_0012_notices_by_statement"),
    ("payments", "0001_squashed_0015_timers"),
]


def written(loader: MigrationLoader, nodes: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Each model behind these migrations as its one operation: columns in their order, constraints, and indexes."""
    state = loader.graph.make_state(nodes=nodes, at_end=True, real_apps=loader.unmigrated_apps)
    found = {}
    for key, model in state.models.items():
        options = {name: option for name, option in sorted(model.options.items()) if option}
        whole = CreateModel(model.name, list(model.fields.items()), options, model.bases, model.managers)
        found[key] = OperationWriter(whole).serialize()[0]
    return found


def test_the_tables_made_at_once_are_those_of_the_whole_history() -> None:
    step_by_step = written(MigrationLoader(None, replace_migrations=False), HISTORY)
    assert len([key for key in step_by_step if key[0] in {"merchants", "payments"}]) == 59
    assert written(MigrationLoader(None), AT_ONCE) == step_by_step


@pytest.mark.parametrize(("app", "name"), AT_ONCE)
def test_what_is_made_at_once_stands_for_every_migration_it_is_named_after(app: str, name: str) -> None:
    last = dict(HISTORY)[app]
    files = sorted(path.stem for path in Path(app, "migrations").glob("0*.py") if "squashed" not in path.stem)
    replaced = MigrationLoader(None).disk_migrations[app, name].replaces
    assert replaced == [(app, file) for file in files if file <= last]


def test_tables_that_refer_to_one_another_are_made_and_taken_away_and_the_models_drawn_once(db: None) -> None:
    stall = CreateModel("Stall", [("id", models.BigAutoField(primary_key=True))])
    crate = CreateModel(
        "Crate",
        [
            ("id", models.BigAutoField(primary_key=True)),
            ("stall", models.ForeignKey("market.stall", on_delete=models.PROTECT)),
        ],
    )
    before, behind = ProjectState(), ProjectState()
    assert list(behind.apps.get_models()) == []
    both = TablesAtOnce([stall, crate])
    both.state_forwards("market", behind)
    assert "apps" not in behind.__dict__
    with connection.schema_editor() as editor:
        both.database_forwards("market", editor, before, behind)
    assert tables_of_the_market() == {"market_stall", "market_crate"}
    with connection.schema_editor() as editor:
        both.database_backwards("market", editor, behind, before)
    assert tables_of_the_market() == set()
    assert both.describe() == "Create model Stall; Create model Crate"


def tables_of_the_market() -> set[str]:
    return {name for name in connection.introspection.table_names() if name.startswith("market_")}
