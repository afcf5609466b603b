"""The shop on an organiser's page: events' template asks, the room below imports nothing of this one."""

from django import template

from events.models import Page
from market.selling import OnShelf, shelf_of

register = template.Library()


@register.simple_tag
def shop_of(page: Page) -> list[OnShelf]:
    """``{% shop_of page as shelf %}``: the products that `page` has for sale."""
    return shelf_of(page)
