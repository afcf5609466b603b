"""From a table of arrows to triggers: installed on a scratch table and tried by bare SQL."""

from collections.abc import Sequence

import pgtrigger
import pytest

from ledger.arrows import Arrows, arrow_triggers, counter_guards, counter_triggers, frozen_trigger, refusal
from tests.ledger.psql import rows, run, verdict

DOOR = Arrows.table(born={"shut"}, moves={"shut": {"open"}, "open": {"shut", "broken"}}, deleted={"broken"})


def install(table: str, triggers: Sequence[pgtrigger.Trigger]) -> None:
    for trigger in triggers:
        body = f"BEGIN {trigger.func} END"
        run(f"CREATE FUNCTION pg_temp.{trigger.name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$")
        names = trigger.referencing
        referencing = (
            " REFERENCING"
            + (f" OLD TABLE AS {names.old}" if names.old else "")
            + (f" NEW TABLE AS {names.new}" if names.new else "")
            if names
            else ""
        )
        when = f" WHEN ({trigger.condition.sql})" if trigger.condition else ""
        run(
            f"CREATE TRIGGER {trigger.name} {trigger.when} {trigger.operation} ON {table}{referencing}"
            f" FOR EACH {trigger.level}{when} EXECUTE FUNCTION pg_temp.{trigger.name}()"
        )


@pytest.fixture
def door(db: None) -> None:
    run("CREATE TEMP TABLE door (id serial, state text, colour text, side text DEFAULT 'in') ON COMMIT DROP")
    install(
        "door", [*arrow_triggers("door", DOOR), frozen_trigger("door_painted", ["colour"], when="OLD.state = 'open'")]
    )
    run("INSERT INTO door (state, colour) VALUES ('shut', 'red')")


def test_table_of_arrows_is_its_pairs() -> None:
    assert DOOR.moves == {("shut", "open"), ("open", "shut"), ("open", "broken")}
    assert DOOR.born == {"shut"}
    assert DOOR.deleted == {"broken"}
    assert DOOR.sources_of("shut") == {"open"}
    assert DOOR.sources_of("nowhere") == set()
    assert Arrows.table(born={"a"}, moves={}).deleted == set()


@pytest.mark.parametrize("state", ["open", "broken", "other", None])
def test_row_is_born_where_the_table_says(door: None, state: str | None) -> None:
    insert = "INSERT INTO door (state) VALUES (%s)"
    assert verdict(insert, values=["shut"]) is None
    assert verdict(insert, values=[state]) == "door_born"


def test_bulk_insert_with_one_wrong_row_is_refused_whole(door: None) -> None:
    assert verdict("INSERT INTO door (state) VALUES ('shut'), ('open'), ('shut')") == "door_born"


@pytest.mark.parametrize("target", ["broken", "other", None])
def test_row_moves_where_an_arrow_is(door: None, target: str | None) -> None:
    assert verdict("UPDATE door SET state = 'open'") is None
    assert verdict("UPDATE door SET state = 'shut', side = 'out'") is None
    assert verdict("UPDATE door SET state = %s", values=[target]) == "door_moves"


def test_row_is_deleted_where_the_table_says(door: None) -> None:
    assert verdict("DELETE FROM door") == "door_deleted"
    run("UPDATE door SET state = 'open'")
    run("UPDATE door SET state = 'broken'")
    assert verdict("DELETE FROM door") is None


def test_row_with_no_deletable_state_is_never_deleted(db: None) -> None:
    run("CREATE TEMP TABLE door (state text) ON COMMIT DROP")
    install("door", arrow_triggers("door", Arrows.table(born={"shut"}, moves={"shut": {"open"}})))
    run("INSERT INTO door VALUES ('shut')")
    assert verdict("DELETE FROM door") == "door_deleted"


def test_state_can_depend_on_two_columns(db: None) -> None:
    run("CREATE TEMP TABLE door (state text, side text) ON COMMIT DROP")
    arrows = Arrows.table(born={"in.shut"}, moves={"in.shut": {"in.open"}})
    install("door", arrow_triggers("door", arrows, state="{row}.side || '.' || {row}.state"))
    assert verdict("INSERT INTO door VALUES ('shut', 'out')") == "door_born"
    assert verdict("INSERT INTO door VALUES ('shut', NULL)") == "door_born"
    run("INSERT INTO door VALUES ('shut', 'in')")
    assert verdict("UPDATE door SET side = 'out'") == "door_moves"
    assert verdict("UPDATE door SET side = NULL") == "door_moves"
    assert verdict("UPDATE door SET state = 'open'") is None


def test_frozen_column_is_frozen_under_its_condition_only(door: None) -> None:
    assert verdict("UPDATE door SET colour = 'blue'") is None
    assert verdict("UPDATE door SET colour = 'blue', state = 'open'") is None
    run("UPDATE door SET state = 'open'")
    for colour in ("blue", None):
        assert verdict("UPDATE door SET colour = %s", values=[colour]) == "door_painted"
    assert verdict("UPDATE door SET colour = 'red', side = 'out'") is None


def test_table_is_truncated_by_a_tests_clean_up_only(door: None) -> None:
    truncate = "TRUNCATE door"
    assert verdict("SET LOCAL foyer.clean_up = 'off'", truncate) == "door_truncated"
    run("SET LOCAL foyer.clean_up = 'on'")
    run(truncate)
    assert rows("SELECT count(*) FROM door") == [(0,)]


def test_refusal_names_its_claim_and_its_values() -> None:
    text = refusal("a_claim", "no % for %", "NEW.a", "NEW.b")
    assert text == (
        "RAISE EXCEPTION 'no % for %', NEW.a, NEW.b USING ERRCODE = 'check_violation', CONSTRAINT = 'a_claim';"
    )


@pytest.fixture
def hall(db: None) -> None:
    """Two halls of three seats, and their guests."""
    seats = "held int DEFAULT 0 CONSTRAINT full_up CHECK (held <= 3)"
    run(f"CREATE TEMP TABLE hall (id int PRIMARY KEY, {seats}) ON COMMIT DROP")
    run("CREATE TEMP TABLE guest (id serial, hall_id int, state text) ON COMMIT DROP")
    install("hall", counter_guards("hall"))
    install("guest", counter_triggers("guest", parent="hall", key="hall_id", held=frozenset({"in", "bar"})))
    run("INSERT INTO hall VALUES (1), (2)")


def held() -> list[int]:
    return [number for (number,) in rows("SELECT held FROM hall ORDER BY id")]


def test_counter_follows_insert_update_and_delete(hall: None) -> None:
    run("INSERT INTO guest (hall_id, state) VALUES (1, 'in'), (1, 'bar'), (1, 'out'), (2, 'in'), (NULL, 'in')")
    assert held() == [2, 1]
    run("UPDATE guest SET state = 'out' WHERE state = 'bar'")
    assert held() == [1, 1]
    run("UPDATE guest SET hall_id = 2 WHERE hall_id = 1")
    assert held() == [0, 2]
    run("DELETE FROM guest WHERE hall_id = 2 AND state = 'in'")
    assert held() == [0, 0]


def test_counter_that_would_not_fit_refuses_the_statement_whole(hall: None) -> None:
    assert verdict("INSERT INTO guest (hall_id, state) SELECT 1, 'in' FROM generate_series(1, 4)") == "full_up"
    assert held() == [0, 0]


def test_counter_touches_no_parent_whose_number_stays(hall: None) -> None:
    run("INSERT INTO guest (hall_id, state) VALUES (1, 'in'), (1, 'out')")
    before = rows("SELECT ctid FROM hall ORDER BY id")
    run("UPDATE guest SET state = 'bar' WHERE state = 'in'")
    run("UPDATE guest SET state = CASE state WHEN 'bar' THEN 'out' ELSE 'in' END")
    assert rows("SELECT ctid FROM hall ORDER BY id") == before


def test_counter_is_written_by_its_triggers_only(hall: None) -> None:
    assert verdict("UPDATE hall SET held = 1") == "hall_held_guard"
    assert verdict("INSERT INTO hall VALUES (3, 1)") == "hall_held_guard"
    assert verdict("UPDATE hall SET held = held") is None
