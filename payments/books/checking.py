"""Checking the books: every place where a rule about seats and money does not hold."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection, transaction

from payments.books.rules import RULES, Rule


@dataclass(frozen=True)
class Breach:
    """One place where a rule does not hold, told by ids and amounts only."""

    rule: str
    row: dict[str, object]

    def __str__(self) -> str:
        return f"{self.rule}: " + " ".join(f"{name}={value}" for name, value in self.row.items())


def breaches(rules: list[Rule] = RULES) -> Iterator[Breach]:
    """Each breach of `rules` as this connection's transaction sees it."""
    for rule in rules:
        with connection.cursor() as cursor:
            cursor.execute(rule.sql)
            names = [column.name for column in cursor.description or ()]
            for row in cursor:
                yield Breach(rule.name, dict(zip(names, row, strict=True)))


def read_books() -> list[Breach]:
    """All breaches at one moment: one REPEATABLE READ READ ONLY transaction, so that a sale in between tears nothing.

    It must be called outside any transaction.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL work_mem = '64MB'")  # a million tickets are grouped in memory
        return list(breaches())
