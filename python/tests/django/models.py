from django.db import models


class Order(models.Model):
    """What a handler changes."""

    key = models.CharField(max_length=32)
    how = models.CharField(max_length=40)
