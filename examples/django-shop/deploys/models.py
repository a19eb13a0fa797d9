from django.db import models


class Deploy(models.Model):
    """A commit that has to go live."""

    repository = models.CharField(max_length=140)
    commit = models.CharField(max_length=64)
    pushed_by = models.CharField(max_length=100)
    pushed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "commit"], name="deploy_once")]

    def __str__(self) -> str:
        return f"{self.repository}@{self.commit[:12]}"
