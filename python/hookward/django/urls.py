"""`path("hooks/", include("hookward.django.urls"))` takes the webhooks of each source at `hooks/<source>/`, with or
without the slash.

Under ASGI, `path("hooks/<str:source>/", hookward.django.views.areceive_any)` does the same on the event loop.
"""

from __future__ import annotations

from django.urls import path

from hookward.django.views import receive_any

app_name = "hookward"

urlpatterns = [
    path("<str:source>/", receive_any, name="receive"),
    # A sender that was given the other form must not get a redirect: it would come back without a body.
    path("<str:source>", receive_any),
]
