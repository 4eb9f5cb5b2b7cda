"""Floods: what hostile peers do to a real app while honest ones use it (``python -m tests.flood``).

`attacks` are the hostile ones, in a process of their own; `honest` notes what the others feel of them; `run` holds
against each other what that was, what the app's processes took, what they counted and what they logged.
"""
