"""The socket of a server: what asyncio makes of it."""

from __future__ import annotations

import asyncio
import socket

from elboroom.web.running import listening


def test_a_connection_sends_at_once_and_waits_for_no_receipt() -> None:
    """With Nagle's delay on, the body of each answer would come 40 ms after its head."""
    found: list[int] = []

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def story() -> None:
        with listening(0) as sock:
            port = sock.getsockname()[1]
            server = await asyncio.start_server(taken, sock=sock)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await reader.read()
            writer.close()
            await writer.wait_closed()
            server.close()
            await server.wait_closed()

    asyncio.run(story())
    assert found == [1]
