import os

from django.core.wsgi import get_wsgi_application
from hookward.django import guard

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = get_wsgi_application()
guarded = guard(application)
