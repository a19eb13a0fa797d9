"""What `django-admin startproject` writes, as far as a request meets it, and the webhooks."""

import os

SECRET_KEY = "only-for-the-benchmark"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ADMINS = [("Admin", "admin@example.com")] if os.environ.get("BENCH_ADMINS") else []
# A report to the admins is written, and then sent to nobody: a mail server would take longer.
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "hookward.django",
    "project",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
USE_TZ = True

WEBHOOKS = {
    # The handler uses no database, and neither do the plain views: no connection to one is opened for each event.
    "ATOMIC": False,
    "STORE": {
        "TABLE": os.environ.get("BENCH_HOOKWARD_TABLE", ""),
        "RECOVERY": os.environ.get("BENCH_RECOVERY", "worker"),
    },
    "LIMITS": {"UNVERIFIED": "1000000/s", "UNVERIFIED_BURST": 10_000_000},
    "SOURCES": {"orders": {"PROVIDER": "hmac", "SECRETS": ["env:BENCH_SECRET"]}},
}
