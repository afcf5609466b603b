"""Jobs of events: mail to the new holder of a ticket, carts that lapse, and pictures."""

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from events.lapsing import lapse
from events.old_pictures import develop_old, remove_left_behind
from events.tickets.mails import (
    Whereabouts,
    send_about_booking_mail,
    send_called_off_mail,
    send_moved_mail,
    send_other_time_mail,
    send_ticket_mail,
)
from ledger import clock

#: A mail server that is away is asked again for about a day.
MAIL_RETRY = RetryStrategy(max_attempts=12, exponential_wait=3)


@app.task(name="events.jobs.tell_new_holder", queue="mail", retry=MAIL_RETRY)
def tell_new_holder(ticket_id: int) -> None:
    """Send a ticket that somebody gave away to the person who has it now."""
    send_ticket_mail(ticket_id)


@app.task(name="events.jobs.tell_called_off", queue="mail", retry=MAIL_RETRY)
def tell_called_off(entry_id: int, order_id: int) -> None:
    """Tell the holders of an order's tickets that the event is called off."""
    send_called_off_mail(entry_id, order_id)


@app.task(name="events.jobs.tell_moved", queue="mail", retry=MAIL_RETRY)
def tell_moved(
    entry_id: int, order_id: int, old_start: str, old_place: str, old_zone: str = "", old_end: str = ""
) -> None:
    """Tell the holders of an order's tickets that the event takes place at another time or place."""
    old = Whereabouts.read(start=old_start, place=old_place, zone=old_zone, end=old_end)
    send_moved_mail(entry_id, order_id, old=old)


@app.task(name="events.jobs.tell_other_time", queue="mail", retry=MAIL_RETRY)
def tell_other_time(booking_id: int, old_start: str, old_place: str, old_zone: str) -> None:
    """Tell who has booked time in a room that it is another time, or told on another clock."""
    send_other_time_mail(booking_id, old=Whereabouts.read(start=old_start, place=old_place, zone=old_zone))


@app.task(name="events.jobs.tell_about_booking", queue="mail", retry=MAIL_RETRY)
def tell_about_booking(booking_id: int, words: str) -> None:
    """Tell who has booked time in a room what its organiser has to say about that."""
    send_about_booking_mail(booking_id, words=words)


@app.periodic(cron="17 * * * *")
@app.task(name="events.jobs.lapse_carts", queue="carts", lock="lapse", queueing_lock="lapse")
def lapse_carts(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every hour: empty the carts of what has lain there too long."""
    lapse(at=clock.now())


@app.periodic(cron="47 3 * * *")
@app.task(name="events.jobs.tidy_pictures", queue="clearing", lock="tidy_pictures", queueing_lock="tidy_pictures")
def tidy_pictures(timestamp: int) -> None:  # noqa: ARG001  (procrastinate passes the time for which it runs)
    """Every day: develop pictures of before an update, and delete files that no row has."""
    develop_old()
    remove_left_behind(at=clock.now())
