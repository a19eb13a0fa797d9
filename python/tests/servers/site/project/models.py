from django.db import models


class Effect(models.Model):
    """What a handler did. Nothing in the database keeps it from being there twice."""

    event = models.CharField(max_length=100)
