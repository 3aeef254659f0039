"""A web server that costs little: every answer is ready, and one loop sends them.

usage: python -m benchmarks.download.server SIZE [CERTIFICATE KEY]
Prints its port. Any path below / is a file of SIZE bytes with a strong ETag. Ranges are offered,
without which the old client fetches nothing, but nobody asks for one.
"""

import select
import socket
import ssl
import sys

_READ = 1 << 16
_END = b"\r\n\r\n"


def answer(size: int) -> bytes:
    head = f'HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nETag: "{size}"\r\n'
    return f"{head}Accept-Ranges: bytes\r\n\r\n".encode() + body(size)


def body(size: int) -> bytes:
    return bytes(range(256)) * (size // 256) + bytes(size % 256)


def serve(listener: socket.socket, content: bytes, context: ssl.SSLContext | None) -> None:
    poll, connections = select.epoll(), dict[int, socket.socket]()
    poll.register(listener, select.EPOLLIN)
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                _welcome(listener, context, poll, connections)
            elif not _serve(connections[number], content):
                poll.unregister(number)
                connections.pop(number).close()


def _welcome(
    listener: socket.socket,
    context: ssl.SSLContext | None,
    poll: select.epoll,
    connections: dict[int, socket.socket],
) -> None:
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is not None:
        connection = context.wrap_socket(connection, server_side=True)
    connections[connection.fileno()] = connection
    poll.register(connection, select.EPOLLIN)


def _serve(connection: socket.socket, content: bytes) -> bool:
    try:
        asked = connection.recv(_READ)
        while asked and not asked.endswith(_END):
            asked += connection.recv(_READ)
        for _ in range(asked.count(_END)):
            connection.sendall(content)
    except OSError:
        return False
    return bool(asked)


def main(size: str, *tls: str) -> None:
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*tls)
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    serve(listener, answer(int(size)), context)


if __name__ == "__main__":
    main(*sys.argv[1:])
