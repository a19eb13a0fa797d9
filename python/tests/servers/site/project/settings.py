"""A project whose handler does what a test asks for. All that differs between tests is in the environment."""

import json
import os

SECRET_KEY = "only-for-tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ADMINS = [("Admin", "admin@example.com")]
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = os.environ["SITE_MAIL"]

INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "hookward.django", "project"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
ROOT_URLCONF = "project.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["SITE_DATABASE"],
        "OPTIONS": {"timeout": float(os.environ.get("SITE_DATABASE_TIMEOUT", "30")), "transaction_mode": "IMMEDIATE"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}

WEBHOOKS = {
    "SOURCES": {"orders": {"PROVIDER": "hmac", "SECRETS": ["env:SITE_SECRET"], "BODY_TIMEOUT": "10s"}},
    **json.loads(os.environ["SITE_WEBHOOKS"]),
}
