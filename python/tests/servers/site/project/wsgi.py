from django.core.wsgi import get_wsgi_application
from hookward.django import guard

application = get_wsgi_application()
guarded = guard(application)
