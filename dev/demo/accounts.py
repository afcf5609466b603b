"""Who may sign in to the demo: shown on the sign-in page while DEBUG, created by `seed_demo`."""

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

DEMO_PASSWORD = "foyer-demo"  # noqa: S105  (public on purpose: it exists in the demo's database only)
DEMO_ACCOUNTS = {
    "buyer@example.org": _("a visitor who buys"),
    "organiser@example.org": _("runs a page, may open the admin"),
    "admin@example.org": _("runs the whole site"),
}


def demo_accounts(_request: HttpRequest) -> dict[str, object]:
    """A context processor for the sign-in page."""
    return {"demo_accounts": DEMO_ACCOUNTS, "demo_password": DEMO_PASSWORD} if settings.DEBUG else {}
