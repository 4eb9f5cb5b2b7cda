"""What people write to each other."""

from django.conf import settings
from django.db import models


class Comment(models.Model):
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="written_comments")
    receiver = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="comments")
    text = models.TextField(max_length=1000)
    created = models.DateTimeField(auto_now_add=True)
    is_seen = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"from {self.author} to {self.receiver}: {self.text[:40]}"

    def as_dict(self) -> dict[str, object]:
        """As a page shows it."""
        return {
            "id": self.pk,
            "author": self.author.get_username(),
            "text": self.text,
            "created": self.created.isoformat(),
            "is_seen": self.is_seen,
        }
