from django.core.asgi import get_asgi_application
from hookward.django import guard

application = get_asgi_application()
guarded = guard(application)
