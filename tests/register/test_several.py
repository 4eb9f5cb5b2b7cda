"""Several Registers of one cluster, of which some are away."""

from __future__ import annotations

from tests.net.support import Runner, until
from tests.ports import free_port
from tidegate.cluster.announcement import Announcement
from tidegate.cluster.directory import Directory
from tidegate.cluster.lookup import look_up_async
from tidegate.register.register import Register

ONE, TWO, THREE = "127.0.0.1:2900", "127.0.0.1:2901", "127.0.0.1:2902"


def test_with_one_of_two_down_gateways_come_and_go_and_everybody_finds_them(run: Runner, hurry: None) -> None:
    async def main() -> None:
        places = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        first, second = [await Register(place, settle_seconds=0).listen() for place in places]
        directory = Directory(places, "", lambda _: None)
        directory.start()
        gateways = {address: Announcement(places, address, "") for address in (ONE, TWO, THREE)}
        for address in (ONE, TWO):
            gateways[address].start()
        await until(lambda: set(directory.addresses.all) == {ONE, TWO})
        await until(lambda: all(gateways[address].connected == 2 for address in (ONE, TWO)))

        await first.stop(seconds=0.5)
        await until(lambda: all(gateways[address].connected == 1 for address in (ONE, TWO)))
        assert set(directory.addresses.all) == {ONE, TWO}
        gateways[THREE].start()
        await gateways[ONE].stop()
        await until(lambda: set(directory.addresses.all) == {TWO, THREE})
        assert set((await look_up_async(places, "", 2, 2)).all) == {TWO, THREE}

        first = await Register(places[0], settle_seconds=0.2).listen()
        await until(lambda: all(gateways[address].connected == 2 for address in (TWO, THREE)))
        await second.stop(seconds=0.5)
        assert set((await look_up_async(places, "", 2, 2)).all) == {TWO, THREE}
        assert set(directory.addresses.all) == {TWO, THREE}

        for address in (TWO, THREE):
            await gateways[address].stop()
        await until(lambda: not directory.addresses.all)
        await directory.stop()
        await first.stop(seconds=0.5)

    run(main())
