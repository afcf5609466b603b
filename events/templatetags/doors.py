"""For the menus: who is shown the way to the door."""

from django import template
from django.http import HttpRequest

from events.door.views import AT_THE_DOOR
from events.scoping import team_of

register = template.Library()


@register.simple_tag
def stands_at_a_door(request: HttpRequest) -> bool:
    """Whether the request's user lets people in somewhere; nothing is asked for visitors."""
    team = team_of(request)
    return team.is_superuser or bool(team.pages(AT_THE_DOOR))
