"""The methods of the push API, spelled out for whoever carries them: blocking, and awaited.

Uids and groups are `str` or `int`, sent as written, and always `str` in results. Where many may be given, one may be
given by itself. A message is `str` for a text frame or `bytes` for a binary one; with ``raw`` it is sent as it is,
encoded for the client already. What is addressed to clients, uids or groups that are not there reaches nobody.

Every method raises ValueError or TypeError for arguments that are wrong (a coroutine function when it is awaited, all
others at the call), ClusterError where Register or a gateway can't be reached or breaks off, and its subclass
ClusterTimeoutError where one does not answer in time.
"""

from __future__ import annotations

from tidegate.client.api.awaited import AsyncPushAPI
from tidegate.client.api.coroutines import CoroutinePushAPI
from tidegate.client.api.sync import PushAPI

__all__ = ["AsyncPushAPI", "CoroutinePushAPI", "PushAPI"]
