from django.contrib import admin

from .models import Deploy


@admin.register(Deploy)
class DeployAdmin(admin.ModelAdmin):
    list_display = ["repository", "commit", "pushed_by", "pushed_at"]
