"""What a worker says when it starts."""

from __future__ import annotations

import pytest

from tests.business.support import cluster, running
from tests.net.support import Runner
from tidegate.business.worker import BusinessWorker


@pytest.mark.parametrize(
    ("host", "secret_key", "warns"), [("127.0.0.1", "", 0), ("0.0.0.0", "", 2), ("0.0.0.0", "s", 0)]
)
def test_no_secret_at_a_register_that_may_be_elsewhere_is_warned_of_at_every_start(
    run: Runner, host: str, secret_key: str, warns: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with cluster() as register:
            place = register.place.replace("127.0.0.1", host)
            for _ in range(2):
                async with running(BusinessWorker(cluster=place, secret_key=secret_key)):
                    pass

    run(main())
    assert caplog.text.count("business: NO SECRET: whoever reaches Register") == warns
