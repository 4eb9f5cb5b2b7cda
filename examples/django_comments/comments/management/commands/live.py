"""`manage.py live`: the site by Django's runserver, and the cluster beside it, until Ctrl-C."""

import os
import secrets
import signal
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.contrib.auth.models import User
from django.core.management import BaseCommand, CommandError, call_command, execute_from_command_line
from django.db import connection, transaction

FOLDER = Path(__file__).parents[3]
CLUSTER = [sys.executable, str(FOLDER / "following.py"), "start", str(FOLDER / "cluster.py")]
STOP_SECONDS = 15


class Command(BaseCommand):
    help = "Runs the site with the cluster beside it, and makes the database and two users where there are none."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", nargs="?", default="127.0.0.1:8000", help="of the site: a port, or host:port")

    def handle(self, *, address: str, **_: object) -> None:
        self.prepare()
        os.environ["FOLLOW_PID"] = str(os.getpid())  # the processes we start end when we do, however that happens
        with cluster():
            # What runserver's reloader starts again and again is this: a runserver, which knows of no cluster.
            sys.argv = [sys.argv[0], "runserver", address]
            execute_from_command_line(sys.argv)

    def prepare(self) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        if not User.objects.exists():
            password = secrets.token_urlsafe(9)
            with transaction.atomic():
                for name in "kim", "lee":
                    User.objects.create_user(name, password=password)
            self.stdout.write(f"The users kim and lee are new, the password of both is {password}")
            self.stdout.flush()
        connection.close()


@contextmanager
def cluster() -> Iterator[None]:
    """One cluster, whatever the reloader does.

    Raises:
        CommandError: it has ended by itself, and so has the site.
    """
    # In a session of its own Ctrl-C in the terminal does not reach it: it ends after the site, and not in the middle.
    process = subprocess.Popen(CLUSTER, stdin=subprocess.DEVNULL, start_new_session=True)

    def check(*_: object) -> None:
        if process.poll() is not None:
            os.kill(os.getpid(), signal.SIGTERM)  # ends runserver as anybody else would

    signal.signal(signal.SIGCHLD, check)
    try:
        check()  # it may have ended before that
        yield
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if process.poll() is not None:
            raise CommandError("the cluster has ended: it says why above")
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
