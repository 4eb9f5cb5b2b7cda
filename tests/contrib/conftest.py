from __future__ import annotations

from django.conf import settings

# Once in a process; what a test needs it overrides.
if not settings.configured:
    settings.configure(SECRET_KEY="for tests", USE_TZ=True, ALLOWED_HOSTS=["testserver"])
