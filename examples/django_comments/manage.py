"""Django's command line. `live` runs the site and the cluster beside it."""

import os
import sys

from django.core.management import execute_from_command_line
from following import follow  # beside this file

if __name__ == "__main__":
    follow()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "website.settings")
    execute_from_command_line(sys.argv)
