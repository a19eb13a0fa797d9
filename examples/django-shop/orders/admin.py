from django.contrib import admin

from .models import Booking, Order


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ["number", "total", "paid_at"]


@admin.register(Booking)
class BookingAdmin(admin.ModelAdmin):
    list_display = ["order", "payment", "amount"]
