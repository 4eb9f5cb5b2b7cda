"""The push API over HTTP, for whatever can make a request: an ASGI app, by itself or in a site.

It needs no framework; something that serves ASGI apps, such as uvicorn, is the user's or the ``http`` extra's.
"""

from __future__ import annotations

from tidegate.http.push import PushApp, push_api

__all__ = ["PushApp", "push_api"]
