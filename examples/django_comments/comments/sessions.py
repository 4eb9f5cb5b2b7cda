"""The group of a session's pages, so that all of them can be told when it ends."""

from django.http import HttpRequest
from django.utils.crypto import salted_hmac


def pages_of(request: HttpRequest) -> str:
    """Its name: a digest, for with the key itself anybody who sees the groups could be the user."""
    return f"session-{salted_hmac('comments.sessions', request.session.session_key).hexdigest()}"
