"""What the change pages of everything with a picture share."""

from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from events.pictures import Pictured, PictureForm
from events.scoping import ScopedAdmin

Row = TypeVar("Row", bound=Pictured)


class PicturedAdmin(ScopedAdmin[Row]):
    """A ScopedAdmin whose form is a PictureForm."""

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Row | None = None,
    ) -> HttpResponse:
        """A form that failed, or one of those below it, says that the picture was lost with it."""
        form = context["adminform"].form
        if isinstance(form, PictureForm) and form.picture_is_lost():
            form.add_error("picture", gettext("Choose the picture again: it was not kept, for the form has an error."))
        return super().render_change_form(request, context, add, change, form_url, obj)
