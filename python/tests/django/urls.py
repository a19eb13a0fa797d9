from django.urls import include, path
from hookward.django.views import areceive_any

from tests.django import views

urlpatterns = [
    path("hooks/", include("hookward.django.urls")),
    path("ahooks/<str:source>/", areceive_any),
    path("shop/", views.shop),
    path("crm/", views.crm),
    path("bank/", views.BankView.as_view()),
    path("post/", views.PostView.as_view()),
]
