"""Why a time in a room is not on offer; whether it is taken is another question."""

import enum

from django.utils.translation import gettext_lazy as _


class Obstacle(enum.Enum):
    """Why a time cannot be booked now; the value is the sentence for the buyer."""

    NOT_BOOKABLE = _("This room cannot be booked here.")
    UNPUBLISHED = _("This room is not open to the public.")
    PAST = _("This time has passed.")
    NOTICE = _("It is too late to book this time.")
    TOO_FAR = _("This time cannot be booked yet.")
    CLOSED = _("The room is closed at this time.")
    NO_SUCH_TIME = _("The room is not booked at this start or for this long.")
