from django.urls import include, path

urlpatterns = [path("hooks/", include("hookward.django.urls"))]
