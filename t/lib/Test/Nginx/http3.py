# Copyright (C) The Optcache authors

"""
The client behind Test::Nginx::HTTP3: a command in JSON a line on standard
input, an answer in JSON a line on standard output.

    http3.py PORT
"""

import asyncio
import base64
import json
import ssl
import sys

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, StreamReset

TIMEOUT = 15
CANCELLED = 0x10C


class Response:
    """What has come on a stream so far."""

    def __init__(self):
        self.head = ""
        self.body = b""
        self.ended = asyncio.Event()

    def fields(self, headers):
        for name, value in headers:
            if name == b":status":
                self.head = "HTTP/3 " + value.decode() + "\r\n"
            else:
                self.head += name.decode() + ": " + value.decode() + "\r\n"


class Http3(H3Connection):
    def _check_content_length(self, stream):
        """A response to HEAD tells a length that it has not."""


class Client(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = Http3(self._quic)
        self.responses = {}
        self.held = None

    def datagram_received(self, data, addr):
        if self.held is None:
            super().datagram_received(data, addr)
        else:
            self.held.append((data, addr))

    def release(self):
        held, self.held = self.held, None

        for data, addr in held:
            super().datagram_received(data, addr)

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            for response in self.responses.values():
                response.ended.set()

        elif isinstance(event, StreamReset):
            if event.stream_id in self.responses:
                self.responses[event.stream_id].ended.set()

        for item in self.http.handle_event(event):
            response = self.responses.get(item.stream_id)

            if response is None:
                continue

            if isinstance(item, HeadersReceived):
                response.fields(item.headers)

            elif isinstance(item, DataReceived):
                response.body += item.data

            if item.stream_ended:
                response.ended.set()

    def send(self, request):
        """Does not transmit, so that several go together."""

        stream = self._quic.get_next_available_stream_id()
        body = base64.b64decode(request["body"])
        more = bool(body) or request["open"]
        fields = [
            (":method", request["method"]),
            (":scheme", "https"),
            (":authority", request["host"]),
            (":path", request["uri"]),
        ] + request["fields"]

        self.responses[stream] = Response()
        self.http.send_headers(
            stream,
            [(name.encode(), value.encode()) for name, value in fields],
            end_stream=not more,
        )

        if body:
            self.http.send_data(stream, body, end_stream=not request["open"])

        return stream

    def reset(self, stream):
        self._quic.stop_stream(stream, CANCELLED)
        self._quic.reset_stream(stream, CANCELLED)
        self.transmit()


class Commands:
    def __init__(self, port):
        self.address = ("127.0.0.1", port)
        self.client = None
        self.tickets = []
        self.came = asyncio.Event()

    def ticket(self, ticket):
        self.tickets.append(ticket)
        self.came.set()

    async def connect(self, command):
        """
        One that begins with early data hears nothing of nginx until release():
        it cannot complete the handshake before nginx has done what was asked.
        """

        if self.client:
            self.client.close()

        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=H3_ALPN,
            server_name="localhost",
            verify_mode=ssl.CERT_NONE,
        )

        if command["early"]:
            await asyncio.wait_for(self.came.wait(), TIMEOUT)
            configuration.session_ticket = self.tickets[-1]

        quic = QuicConnection(
            configuration=configuration, session_ticket_handler=self.ticket
        )
        loop = asyncio.get_running_loop()

        _, self.client = await loop.create_datagram_endpoint(
            lambda: Client(quic), local_addr=("127.0.0.1", 0)
        )

        # ClientHello and early data go together: no handshake comes between
        quic.connect(self.address, now=loop.time())
        ids = [self.client.send(request) for request in command["early"]]
        self.client.held = []
        self.client.transmit()

        if not ids:
            await self.release(command)

        return {"ids": ids}

    async def release(self, _):
        # it has to be waited for before it comes
        connected = asyncio.ensure_future(self.client.wait_connected())
        await asyncio.sleep(0)

        self.client.release()
        await asyncio.wait_for(connected, TIMEOUT)
        return {"early": self.client._quic.tls.early_data_accepted}

    async def send(self, command):
        stream = self.client.send(command["request"])
        self.client.transmit()
        return {"id": stream}

    async def response(self, command):
        response = self.client.responses[command["id"]]

        try:
            await asyncio.wait_for(response.ended.wait(), TIMEOUT)
        except asyncio.TimeoutError:
            pass

        return {
            "head": response.head,
            "body": base64.b64encode(response.body).decode(),
        }

    async def reset(self, command):
        self.client.reset(command["id"])
        return {}

    async def close(self, _):
        self.client.close()
        return {}

    async def run(self):
        loop = asyncio.get_running_loop()

        while True:
            line = await loop.run_in_executor(None, sys.stdin.readline)

            if not line:
                break

            command = json.loads(line)
            answer = await getattr(self, command["do"])(command)
            print(json.dumps(answer), flush=True)


async def main():
    await Commands(int(sys.argv[1])).run()


asyncio.run(main())
