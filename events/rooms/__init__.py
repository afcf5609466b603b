"""Time in rooms: when a room can be booked, at what price, and what of it is taken."""

from events.rooms.hours import RoomHours, hours_of
from events.rooms.obstacles import Obstacle
from events.rooms.slots import Span, is_taken
from events.rooms.taken import busy_in, busy_near, nearest_free

__all__ = ["Obstacle", "RoomHours", "Span", "busy_in", "busy_near", "hours_of", "is_taken", "nearest_free"]
