import os

from django.core.asgi import get_asgi_application
from hookward.django import guard

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = get_asgi_application()
guarded = guard(application)
