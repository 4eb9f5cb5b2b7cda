"""The Flask site: a user starts a job, and every page of that user shows how far it is.

It runs in the cluster of app.py, and as well under `flask --app website run` or `gunicorn --threads 8 website:site`.
"""

import hmac
import json
import logging
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, jsonify, render_template, request, send_file, session
from jobs import BusyError, Jobs, Progress
from werkzeug.exceptions import HTTPException

from tidegate import GatewayClient
from tidegate.errors import ClusterError

CLIENT_SCRIPT = Path(__file__).parents[2] / "js" / "browser" / "tidegate-client.js"
MAX_PHOTOS = 500

logger = logging.getLogger(__name__)
site = Flask(__name__)
site.config.update(
    # Signs the session cookie. Without one in the environment, sessions end with this process.
    SECRET_KEY=os.environ.get("SITE_SECRET") or secrets.token_hex(),
    SESSION_COOKIE_NAME="flask_progress",
    SESSION_COOKIE_SAMESITE="Lax",  # other sites' pages can't post in a user's name
    MAX_CONTENT_LENGTH=512,  # bytes; pages post a few short fields
)
gateway = GatewayClient()  # of the cluster at 127.0.0.1:1236, or TIDEGATE_CLUSTER; all threads share it


def report(progress: Progress) -> None:
    """Push to every page of the user. The job goes on without the cluster: a page has the state when it is loaded."""
    try:
        gateway.send_to_uid(progress.uid, json.dumps(asdict(progress)))
    except ClusterError as error:
        logger.warning("%s of user %s not pushed: %s", progress.percent, progress.uid, error)


jobs = Jobs(report)


def import_photos(count: int) -> Iterator[int]:
    """Stands for work that takes its time."""
    for done in range(1, count + 1):
        time.sleep(0.1)
        yield 100 * done // count


@site.get("/")
def page() -> str:
    uid = session.setdefault("uid", secrets.token_hex(8))  # a guest; a site with logins has put its user's id here
    return render_template("page.html", progress=jobs.latest(uid), max_photos=MAX_PHOTOS)


@site.get("/tidegate-client.js")
def client_script() -> Response:
    return send_file(CLIENT_SCRIPT)


@site.post("/bind")
def bind() -> Response:
    """Make a connection the user's, and answer how far the job is: what was pushed before did not reach it."""
    uid, given = user(), fields()
    client_id, ticket = given.get("client_id"), given.get("ticket")
    if not isinstance(client_id, str) or not isinstance(ticket, str):
        abort(400, "A client_id and its ticket are expected.")
    try:
        expected = (gateway.get_session(client_id) or {}).get("ticket", "")
        is_theirs = expected and hmac.compare_digest(expected.encode(), ticket.encode())
    except ValueError:
        abort(400, "That is no client id, or no ticket.")
    if not is_theirs:
        abort(403, "That connection has ended, or is somebody else's.")
    gateway.bind_uid(client_id, uid)
    gateway.flush()  # from here on every push finds it
    return jsonify(jobs.latest(uid))


@site.post("/jobs")
def start() -> tuple[Response, int]:
    uid, photos = user(), fields().get("photos")
    if type(photos) is not int or not 1 <= photos <= MAX_PHOTOS:
        abort(422, f"The number of photos is 1 to {MAX_PHOTOS}.")
    return jsonify(jobs.start(uid, import_photos(photos))), 202


def user() -> str:
    """Whoever the signed cookie says, and nothing that a page says."""
    uid: str = session.get("uid") or abort(401, "Your session has ended. Reload the page.")
    return uid


def fields() -> dict[str, Any]:
    """The posted JSON object; another site's page can't post one, a form is no JSON."""
    given = request.get_json()  # or 415, or 400
    return given if isinstance(given, dict) else abort(400, "A JSON object is expected.")


@site.errorhandler(HTTPException)
def refuse(error: HTTPException) -> tuple[Response, int]:
    return jsonify(error=error.description), error.code or 500


@site.errorhandler(BusyError)
def busy(error: BusyError) -> tuple[Response, int]:
    return jsonify(error=str(error)), 429


@site.errorhandler(ClusterError)
def away(error: ClusterError) -> tuple[Response, int]:
    logger.warning("a page was not bound: %s", error)
    return jsonify(error="The push service does not answer."), 503


@site.after_request
def guard(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' ws: wss:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return response
