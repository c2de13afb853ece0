"""Keys, users, sessions and the audit log, on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from ethostat.access import Register
from ethostat.access.register import SESSION_SECONDS
from ethostat.access.secrets import hash_password, is_password
from ethostat.access.tables import metadata
from ethostat.errors import InvalidInput
from ethostat.store.database import open_database, read_url
from ethostat.store.tables import VERSION_TABLE

PASSWORD = "correct horse battery"  # noqa: S105
HOSTILE = "<script>alert('x')</script> 'OR 1=1"


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch):
    """Passwords at a hundredth of their cost: what is tested is what they open."""
    monkeypatch.setattr("ethostat.access.secrets._COST", (2**10, 8, 1))


@pytest.fixture
def register(database):
    """A register in an empty database."""
    with Register(database) as opened:
        yield opened


def test_the_migrations_make_the_tables_that_the_code_names(database):
    """No difference between the declared tables and those on disk."""
    url = read_url(database)
    open_database(url, create=True).dispose()
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_key_opens_until_it_is_revoked_or_expires(register):
    """Its text is given once; a hash and a prefix are kept."""
    minted = register.add_key("otel", ["ingest"], tenant="a", expires=200.0, now=100.0, by="me")
    identity, expires = register.identify_key(minted.text, 199.0)

    assert (identity.tenant, identity.scopes, expires) == ("a", frozenset({"ingest"}), 200.0)
    assert identity.may("ingest")
    assert not identity.may("read")
    assert register.identify_key(minted.text, 200.0) is None
    register.revoke_key(minted.prefix, now=150.0, by="me")
    assert register.identify_key(minted.text, 150.0) is None
    assert register.api_keys()[0].revoked == 150.0


def test_nothing_but_the_key_opens(register):
    """Another secret behind the same prefix, the prefix alone, and what is no key at all."""
    minted = register.add_key(HOSTILE, ["admin"], now=0.0, by="me")
    wrong = [
        minted.text[:-1] + ("A" if minted.text[-1] != "A" else "B"),
        minted.prefix,
        "",
        HOSTILE,
        "ethostat_",
        "é" * 70,
    ]

    assert [register.identify_key(text, 1.0) for text in wrong] == [None] * len(wrong)
    assert register.api_keys()[0].name == HOSTILE
    assert minted.text not in repr(minted)
    with pytest.raises(InvalidInput, match="there is no key 'nope'"):
        register.revoke_key("nope", now=0.0, by="me")


def test_no_secret_is_on_disk(tmp_path):
    """Neither keys nor passwords nor session tokens can be found in the file, nor in the log before it."""
    path = tmp_path / "serve.db"
    with Register(path) as register:
        key = register.add_key("k", ["ingest"], now=0.0, by="me").text
        register.add_user("ann", PASSWORD, ["read"], now=0.0, by="me")
        token = register.log_in("ann", PASSWORD, now=0.0, address=None)
        kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())

    for secret in (key, key.rpartition("_")[2], PASSWORD, token):
        assert secret.encode() not in kept


def test_a_user_logs_in_and_out(register):
    """A session lasts twelve hours, or until it is ended, its password changed, or its user removed."""
    register.add_user("ann", PASSWORD, ["read", "label"], tenant="a", now=0.0, by="me")
    tokens = [register.log_in("ann", PASSWORD, now=0.0, address="::1") for _ in range(2)]
    identity, ends = register.identify_session(tokens[0], 1.0)

    assert (identity.name, identity.tenant, identity.scopes) == ("ann", "a", frozenset({"read", "label"}))
    assert ends == SESSION_SECONDS
    assert register.identify_session(tokens[0], SESSION_SECONDS) is None
    register.log_out(tokens[0])
    assert register.identify_session(tokens[0], 1.0) is None
    register.set_password("ann", PASSWORD + "!", now=2.0, by="me")
    assert register.identify_session(tokens[1], 2.0) is None
    assert register.log_in("ann", PASSWORD, now=2.0, address=None) is None
    last = register.log_in("ann", PASSWORD + "!", now=2.0, address=None)
    register.remove_user("ann", now=3.0, by="me")
    assert register.identify_session(last, 3.0) is None
    assert register.log_in("ann", PASSWORD + "!", now=3.0, address=None) is None
    assert [user.is_removed for user in register.users()] == [True]


def test_wrong_names_passwords_and_scopes_are_refused_with_the_rule(register):
    """Each message says what would do."""
    register.add_user("ann", PASSWORD, ["read"], now=0.0, by="me")
    for name, password, scopes, said in (
        ("bob", "short", ["read"], "12 to 256 characters, got 5"),
        ("bob", "x" * 300, ["read"], "12 to 256 characters, got 300"),
        ("bob", "aaaaaaaaaaaaaa", ["read"], "nor the same few characters"),
        ("robert", "i am Robert, hello", ["read"], "must not hold the user's name"),
        ("bob\n", PASSWORD, ["read"], "1 to 100 printable characters"),
        ("bob", PASSWORD, ["root"], "at least one of ingest, read, label, admin, got 'root'"),
        ("bob", PASSWORD, [], "at least one of"),
        ("ann", PASSWORD, ["read"], "there is a user 'ann' already"),
    ):
        with pytest.raises(InvalidInput, match=said):
            register.add_user(name, password, scopes, now=0.0, by="me")


def test_a_register_that_had_a_key_stays_closed(register):
    """Revoking the last key opens nothing to everybody, and leaves nobody a way in."""
    assert (register.is_closed(), register.has_way_in(0.0)) == (False, False)
    minted = register.add_key("k", ["ingest"], now=0.0, by="me")
    assert (register.is_closed(), register.has_way_in(0.0)) == (True, True)
    register.revoke_key(minted.prefix, now=1.0, by="me")
    assert (register.is_closed(), register.has_way_in(1.0)) == (True, False)


def test_what_is_done_is_written_down_by_tenant(register):
    """Who, what, to what, with which outcome; a tenant sees its own lines."""
    register.add_key("k", ["read", "ingest"], tenant="a", now=1.0, by="shell:root")
    register.add_user("ann", PASSWORD, ["read"], tenant="b", now=2.0, by="shell:root")
    register.log_in("ann", "not the password", now=3.0, address="203.0.113.9")
    register.log_in("nobody", PASSWORD, now=4.0, address="203.0.113.9")

    assert [(one.actor, one.action, one.outcome) for one in register.acts()] == [
        ("user:nobody", "log in", "refused"),
        ("user:ann", "log in", "refused"),
        ("shell:root", "users add", "read"),
        ("shell:root", "keys add", "ingest, read"),
    ]
    assert [one.action for one in register.acts(tenant="b")] == ["log in", "users add"]
    assert register.acts(most=1)[0].address == "203.0.113.9"


def test_a_password_costs_what_it_should(monkeypatch):
    """32 MB and three rounds, with a salt of its own; what was kept at another cost still opens."""
    cheap = hash_password(PASSWORD)
    monkeypatch.undo()
    kept = hash_password(PASSWORD)

    assert kept.startswith("scrypt$32768$8$3$")
    assert is_password(PASSWORD, kept)
    assert is_password(PASSWORD, cheap)
    assert not is_password(PASSWORD + ".", cheap)
