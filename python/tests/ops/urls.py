from django.contrib import admin
from django.urls import include, path

from tests.ops.views import async_hook, hook

urlpatterns = [
    path("admin/", admin.site.urls),
    path("hooks/stripe/", hook),
    path("hooks/github/", async_hook, name="github"),
    path("others/", include("hookward.django.urls")),
]
