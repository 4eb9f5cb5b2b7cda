"""The form for a comment, which checks what comes in."""

from django import forms
from django.contrib.auth.models import User

from .models import Comment


class CommentForm(forms.ModelForm):
    class Meta:
        model = Comment
        fields = ("receiver", "text")

    def __init__(self, *args: object, author: User, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.instance.author = author
        receiver, text = self.fields["receiver"], self.fields["text"]
        receiver.queryset = User.objects.filter(is_active=True).exclude(pk=author.pk)
        receiver.empty_label = None
        receiver.label, text.label = "To", "Comment"
        text.widget.attrs["rows"] = 3
