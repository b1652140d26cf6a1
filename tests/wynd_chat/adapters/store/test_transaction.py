"""A transaction remembers a fault of its database. What it changes: contract suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from tests.contracts.chat_stores import ALICE, BOB, a_message, fill, memory_engine, opened
from tests.wynd_chat.domain.rows import a_user
from wynd_chat.adapters.store.postgres import PostgresStore
from wynd_chat.adapters.store.schema import METADATA
from wynd_chat.adapters.store.transaction import SqlTransaction
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def transaction() -> Iterator[SqlTransaction]:
    """Give a transaction over a database with three users in two rooms."""
    engine = memory_engine()
    event.listen(engine, "connect", lambda driver, _: driver.execute("PRAGMA foreign_keys = ON"))
    with engine.begin() as connection:
        METADATA.create_all(connection)
        transaction = SqlTransaction(connection)
        fill(transaction)
        yield transaction


def test_after_a_fault_everything_is_refused_for_the_same_reason(
    transaction: SqlTransaction,
) -> None:
    transaction._connection.exec_driver_sql("DROP TABLE meta")
    with pytest.raises(StoreFailure, match="no such table"):
        transaction.put_meta("a", "b")
    for call in (
        lambda: transaction.user(ALICE.id),
        lambda: transaction.put_user(BOB),
        lambda: transaction.post(a_message()),
    ):
        with pytest.raises(StoreFailure, match="no such table: meta"):
            call()
    assert transaction.failed is not None


def test_a_refusal_of_the_domain_is_no_fault(transaction: SqlTransaction) -> None:
    with pytest.raises(ChatError):
        transaction.put_user(a_user("alice", id="u_other"))
    with pytest.raises(ValueError, match="surrogates"):
        transaction.put_user(a_user("\ud800"))
    assert transaction.failed is None
    transaction.put_user(a_user("Dora"))


@pytest.mark.postgres
@pytest.mark.timeout(400)
async def test_a_name_that_another_node_took_meanwhile_is_taken_not_a_fault(database: str) -> None:
    """The lookup finds the name free, the unique index does not."""

    class Blind(SqlTransaction):
        """A transaction that never finds anybody by name, as before another node's commit."""

        def user_by_key(self, name_key: str) -> None:
            return None

    def work(tx: Any) -> str:
        blind = Blind(tx._connection)
        with pytest.raises(ChatError) as caught:
            blind.put_user(a_user("alice", id="u_other"))
        assert caught.value.code is ErrorCode.NAME_TAKEN
        assert blind.failed is None
        blind.put_user(a_user("Alice2", id="u_other"))
        return "done"

    async with opened(PostgresStore(database)) as store:
        assert await store.write(work) == "done"
        found = await store.read(lambda snapshot: snapshot.user_by_key("alice2"))
    assert found is not None
