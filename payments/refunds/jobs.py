"""Jobs of refunds: asking for all that is owed, and the sweep of what has no end yet."""

import logging
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext as _
from procrastinate.contrib.django import app

from ledger import clock
from ledger.locking import Contention, retried
from ledger.money import Money
from ledger.signing import sign
from payments.cases import open_case
from payments.locks import locked_refund
from payments.models import Case, Refund, RefundBatch, SumUpReport
from payments.patience import sweep_over
from payments.refunds.asking import RefundRefused, owed_wishes, request_refund
from payments.refunds.batches import run
from payments.refunds.sending import LONGEST_CALL, follow, send
from payments.states import CaseKind, RefundOrigin, RefundState

log = logging.getLogger(__name__)

#: A refund that waits is sent by the sweep after this time: its job was lost with its worker.
LEFT_BEHIND = timedelta(minutes=2)
#: What became of one is asked so often while it is unknown, and while the report of a success has not shown.
PAUSE, LONG_PAUSE = timedelta(minutes=2), timedelta(hours=1)
#: So long after it was sent or asked for a person is told of what has no end.
LONGEST_DOUBT, LONGEST_WAIT = timedelta(hours=1), timedelta(days=1)
#: The report of a success follows within a day.
REPORT_WITHIN = timedelta(days=1)
SWEEP_MOST = 200


@app.task(name="payments.refund_jobs.send_owed", queue="payments", lock="owed")
def send_owed(parts: list[tuple[int, list[str]]], reason: str, who: str) -> None:
    """Ask for the refunds of all that a person saw as owed: of each checkout, what of it is still owed.

    Run again it finds the refunds of the first time. What is refused stays owed, and is shown so.
    """
    for checkout_pk, keys in parts:
        wishes = owed_wishes(checkout_pk, keys)
        try:
            if wishes:
                request_refund(checkout_pk, wishes, reason=reason, who=who, at=clock.now())
        except (RefundRefused, Contention) as refusal:
            log.warning("checkout %s: what is owed is not sent: %s", checkout_pk, refusal)


@app.periodic(cron="* * * * *")
@app.task(name="payments.refund_jobs.sweep_refunds", queue="payments", lock="refunds", queueing_lock="refunds")
def sweep_refunds(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every minute: send what was left behind, ask about what is unknown, and tell a person what stays so."""
    refunds_once(at=clock.now())


def refunds_once(*, at: datetime) -> None:
    """One pass over at most SWEEP_MOST refunds of each kind, the longest unasked first."""
    ours = Refund.objects.filter(origin=RefundOrigin.OURS).order_by(F("asked_at").asc(nulls_first=True), "pk")
    waiting = ours.filter(state=RefundState.REQUESTED, requested_at__lte=at - LEFT_BEHIND)
    waiting = waiting.filter(Q(not_before=None) | Q(not_before__lte=at))
    sweep_over(waiting, lambda pk: send(pk, who="sweep", at=at), most=SWEEP_MOST)
    lost = Q(state=RefundState.UNKNOWN) | Q(state=RefundState.SENDING, sent_at__lte=at - LONGEST_CALL)
    unknown = ours.filter(lost).filter(Q(asked_at=None) | Q(asked_at__lte=at - PAUSE))
    for rows in (unknown, _without_report(at).filter(asked_at__lte=at - LONG_PAUSE)):
        sweep_over(rows, lambda pk: follow(pk, who="sweep", at=at), most=SWEEP_MOST)
    sweep_over(_overdue(at), lambda pk: _tell(pk, at), most=SWEEP_MOST)
    # Whose job was given up or lost; of two at once each finds the other's refunds begun.
    idle = RefundBatch.objects.filter(finished_at=None, stopped_at=None, requested_at__lte=at - LONG_PAUSE)
    sweep_over(idle, run, most=SWEEP_MOST)


def _without_report(at: datetime) -> "models.QuerySet[Refund]":
    """Those that SumUp took and whose report has not shown, for a week."""
    reports = SumUpReport.objects.filter(refund=OuterRef("pk"))
    rows = Refund.objects.filter(
        ~Exists(reports), origin=RefundOrigin.OURS, state=RefundState.SUCCEEDED, sent_at__gt=at - timedelta(days=7)
    )
    return rows.order_by("asked_at", "pk")


def _overdue(at: datetime) -> "models.QuerySet[Refund]":
    """Those that have been without an end for too long, and of which no person was told since."""
    since_sent = Case.objects.filter(
        checkout=OuterRef("checkout"), kind=CaseKind.REFUND, opened_at__gte=OuterRef("sent_at")
    )
    since_asked = Case.objects.filter(
        checkout=OuterRef("checkout"), kind=CaseKind.REFUND, opened_at__gte=OuterRef("requested_at")
    )
    late = Q(state=RefundState.UNKNOWN, sent_at__lte=at - LONGEST_DOUBT) | Q(
        state=RefundState.SUCCEEDED, pk__in=_without_report(at).filter(sent_at__lte=at - REPORT_WITHIN).values("pk")
    )
    unsent = Q(state=RefundState.REQUESTED, requested_at__lte=at - LONGEST_WAIT)
    ours = Refund.objects.filter(origin=RefundOrigin.OURS)
    return ours.filter(Q(late, ~Exists(since_sent)) | Q(unsent, ~Exists(since_asked))).order_by("pk")


def _tell(refund_pk: int, at: datetime) -> None:
    retried(lambda: _ask_a_person(refund_pk, at))


def _ask_a_person(refund_pk: int, at: datetime) -> None:
    checkout, refund = locked_refund(refund_pk)
    sign(who="sweep", why="a refund has no end")
    words = {
        RefundState.REQUESTED: _("A refund of %(money)s waits to be sent: SumUp could not be asked, or was too busy."),
        RefundState.UNKNOWN: _("A refund of %(money)s was sent, and SumUp does not say what became of it."),
        RefundState.SUCCEEDED: _("SumUp took a refund of %(money)s, but its books do not show it."),
    }.get(RefundState(refund.state))
    if words is not None:
        money = Money(refund.amount, refund.currency)
        open_case(CaseKind.REFUND, checkout, words=words % {"money": money}, at=at, amount=refund.amount)
