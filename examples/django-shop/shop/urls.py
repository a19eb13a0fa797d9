from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("hooks/", include("hookward.django.urls")),  # /hooks/stripe/ and /hooks/github/
    path("admin/", admin.site.urls),
]
