"""For the pages that show a code: as a picture for a scanner, in groups for people."""

from django import template
from django.utils.safestring import SafeString, mark_safe

from events.tickets.paper import grouped, qr_svg

register = template.Library()
register.filter("in_groups", grouped)


@register.filter
def qr(code: str) -> SafeString:
    return mark_safe(qr_svg(code))  # noqa: S308 (segno's drawing: of the code nothing but its modules is in it)
