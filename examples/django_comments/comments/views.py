"""The site's views. `bind` is the one that a page needs to get pushes; the others are a site like any other."""

import json
import logging

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tidegate.contrib.django import push
from tidegate.errors import ClusterError

from .forms import CommentForm
from .sessions import pages_of

SHOWN = 50  # comments on a page
logger = logging.getLogger(__name__)


@never_cache
@ensure_csrf_cookie  # for the page's own requests
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """The page, and where its form goes."""
    if not request.user.is_authenticated:
        return redirect_to_login("/") if request.method == "POST" else render(request, "comments/index.html")
    form = CommentForm(request.POST or None, author=request.user)
    if request.method == "POST" and form.is_valid():
        comment = form.save()
        messages.success(request, f"Sent to {comment.receiver}.")
        return redirect("index")
    return render(request, "comments/index.html", {"form": form})


@require_POST
def bind(request: HttpRequest) -> HttpResponse:
    """A page has connected: from now on it is this user's. A guest's page is nobody's."""
    if not request.user.is_authenticated:
        return HttpResponse(status=204)
    client_id = request.POST.get("client_id", "")
    try:
        if push.get_uid_by_client_id(client_id) not in (None, str(request.user.pk)):
            return HttpResponse("this page is somebody else's", status=409)
        push.bind_uid(client_id, request.user.pk)
        push.join_group(client_id, pages_of(request))
        push.flush()  # the next push, from whichever process, finds it bound
    except ValueError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain")
    except ClusterError:
        return HttpResponse("the cluster is away", status=503)  # the page asks again
    return HttpResponse(status=204)


@never_cache
@require_safe
def received(request: HttpRequest) -> HttpResponse:
    """The newest comments: for a page that opens, and for one that was away for a while."""
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    comments = request.user.comments.select_related("author").order_by("-id")[:SHOWN]
    unseen = request.user.comments.filter(is_seen=False)
    return JsonResponse({"comments": [comment.as_dict() for comment in comments], "unseen": unseen.count()})


@require_POST
def seen(request: HttpRequest) -> HttpResponse:
    """All up to this comment have been seen: the counters of every tab and device are told."""
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    text = request.POST.get("last", "")
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        return HttpResponse("last is the id of a comment", status=400)
    request.user.comments.filter(pk__lte=int(text), is_seen=False).update(is_seen=True)
    try:
        push.send_to_uid(request.user.pk, json.dumps({"type": "seen", "last": int(text)}))
    except ClusterError as error:
        logger.error("user %s has seen comments, and other pages don't know: %s", request.user.pk, error)
    return HttpResponse(status=204)
