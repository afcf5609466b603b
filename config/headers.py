"""Headers that every answer carries, whoever made it: a page, a file, the page of an error."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

#: What no page of ours uses (a scanner at the door types like a keyboard): denied to whatever gets into one, too.
PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen", "geolocation",
        "gyroscope", "hid", "magnetometer", "microphone", "midi", "payment", "picture-in-picture",
        "publickey-credentials-get", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
    )
)  # fmt: skip
#: An uploaded file is shown and nothing more, should one ever be taken for a page.
MEDIA_POLICY = "default-src 'none'; sandbox"


class HeadersMiddleware:
    """Stands inside django-csp's, which keeps a policy that is there already, and outside of all that answers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        if request.path.startswith(settings.MEDIA_URL) and response.status_code < 400:
            response.headers.setdefault("Content-Security-Policy", MEDIA_POLICY)
        # Whoever has a session (signed in, or with a cart) gets pages of their own: no cache between us keeps one.
        if hasattr(request, "session") and not request.session.is_empty():
            response.headers.setdefault("Cache-Control", "private")
        return response
