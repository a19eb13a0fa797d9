"""A project with two senders, in which what keeps webhooks out is switched on: CSRF checks, logins, ATOMIC_REQUESTS."""

import os
from pathlib import Path

import django

SECRET_KEY = "only-for-tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.django.urls"
ADMINS = ["admin@example.org"] if django.VERSION >= (6, 0) else [("Admin", "admin@example.org")]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "/login/"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(os.environ.get("TMPDIR", "/tmp")) / "hookward-tests.sqlite3",
        "ATOMIC_REQUESTS": True,
        "OPTIONS": {"timeout": 20, "init_command": "PRAGMA synchronous=OFF"},
        "TEST": {"NAME": Path(os.environ.get("TMPDIR", "/tmp")) / f"hookward-tests-{os.getpid()}.sqlite3"},
    }
}

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "hookward.django",
    "tests.django",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
]

SECRETS = {
    "HOOKS_STRIPE": "whsec_Vq7tZ2mXc9LpRw4KdJh8SbNf3YgTx6Ea",
    "HOOKS_GITHUB": "hQ4vTz8XcJm2RpLw9KdSb7NfYg3Tx6Ea",
    "HOOKS_ERP": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwZQ1kUzB3Yt4=",
    "HOOKS_SHOP": "whsec_Zc4LpRw9XmKdJh2SbNf8YgTx3EaVq7t",
    "HOOKS_CRM": "whsec_kUzB3Yt4ILPZIo2LaLaSwZQ1MfKQ9r8GKYqrTwjUPD8=",
    "HOOKS_BANK": "whsec_o2LaLaSwZQ1kUzB3Yt4MfKQ9r8GKYqrTwjUPD8ILPZI=",
    "HOOKS_POST": "whsec_qrTwjUPD8ILPZI2LaLaSwZQ1kUzB3Yt4MfKQ9r8GKYo=",
    "HOOKS_GATEWAY": "whsec_Yt4zQ1kUzB3LaLaSwMfKQ9r8GKYqrTwjUPD8ILPZIo0=",
}
os.environ.update(SECRETS)

WEBHOOKS = {
    "SOURCES": {
        "stripe": {"PROVIDER": "stripe", "SECRETS": ["env:HOOKS_STRIPE"]},
        "github": {"PROVIDER": "github", "SECRETS": ["env:HOOKS_GITHUB"]},
        "erp": {"PROVIDER": "standard-webhooks", "SECRETS": ["env:HOOKS_ERP"]},
        # With views of their own:
        "shop": {"PROVIDER": "stripe", "SECRETS": ["env:HOOKS_SHOP"]},
        "crm": {"PROVIDER": "standard-webhooks", "SECRETS": ["env:HOOKS_CRM"]},
        "bank": {"PROVIDER": "standard-webhooks", "SECRETS": ["env:HOOKS_BANK"]},
        "post": {"PROVIDER": "standard-webhooks", "SECRETS": ["env:HOOKS_POST"]},
    },
}
