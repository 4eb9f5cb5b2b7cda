"""What is pushed, and when: in the database first, then to the pages."""

import json
import logging
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from tidegate.contrib.django import push
from tidegate.errors import ClusterError

from .models import Comment
from .sessions import pages_of

logger = logging.getLogger(__name__)


@receiver(post_save, sender=Comment)
def tell_receiver(instance: Comment, created: bool, raw: bool, **_: Any) -> None:
    """Push a new comment to every tab and device of its receiver.

    On commit: one that is rolled back is never told of. And robust: Django logs that the cluster is away, and the
    comment is saved all the same; the page sees it when it is back.
    """
    if not created or raw:  # raw: a fixture is being loaded
        return
    message = json.dumps({"type": "comment", "comment": instance.as_dict()})
    transaction.on_commit(lambda: push.send_to_uid(instance.receiver_id, message), robust=True)


@receiver(user_logged_out)
def close_pages(request: HttpRequest, user: User | None, **_: Any) -> None:
    """Close the connections of this session's pages: they come back, and as guests."""
    if user is None:
        return
    try:
        for client_id in push.get_client_id_list_by_group(pages_of(request)):
            push.close_client(client_id)
    except ClusterError as error:
        logger.error("pages of somebody who has logged out may still get pushes: %s", error)
