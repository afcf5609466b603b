"""What may be asked of a list in the admin: what its own filters ask, and nothing beside."""

from typing import Any

from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest


class OwnFiltersList(ChangeList):
    """A list that refuses (400) every query parameter which none of its filters has taken, by its exact name.

    Django would put it into the query: by counting rows one reads any column to which a chain of relations leads.
    """

    def get_filters(self, request: HttpRequest) -> Any:
        found = super().get_filters(request)
        allowed = getattr(self.model_admin, "extra_lookups", ())
        for name in found[2]:
            if name not in allowed:
                raise DisallowedModelAdminLookup(f"{name} is no filter of this list.")
        return found


class OwnFilters:
    """Mixed into a ModelAdmin: its list is an OwnFiltersList."""

    #: Query parameters of the list beside its filters' own, for links from other pages.
    extra_lookups: tuple[str, ...] = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002
        return OwnFiltersList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:  # noqa: ARG002
        """Django asks before a filter has taken what is its own; OwnFiltersList asks after that, and lets less pass."""
        return True
