from django.urls import include, path

from . import plain

urlpatterns = [
    path("plain/common/", plain.common),
    path("plain/careful/", plain.careful),
    path("hooks/", include("hookward.django.urls")),
]
