"""HTTP/2 by hand: frames that no library would send. Headers of answers are not decoded."""
import socket
import struct

from kit import SERVICE, WAIT

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
NO_ERROR, PROTOCOL_ERROR, ENHANCE_YOUR_CALM = 0, 1, 11
INITIAL_WINDOW_SIZE = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(**values):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", int(key[1:]), value) for key, value in values.items()))


def number(value, bits):
    """An integer of HPACK with so many bits of prefix."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([value])
    out, value = [most], value - most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out + [value])


def literal(name, value, indexed=False):
    """A header field, its name and value as they are; indexed: it goes into the dynamic table."""
    name, value = name.encode(), value.encode()
    return bytes([0x40 if indexed else 0]) + number(len(name), 7) + name + number(len(value), 7) + value


def head(path, *more):
    fields = ((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("te", "trailers"),
              ("content-type", "application/grpc"), *more)
    return b"".join(literal(name, value) for name, value in fields)


PUBLISH = head(SERVICE + "Publish")


def message(request):
    body = request.SerializeToString()
    return b"\0" + struct.pack(">I", len(body)) + body


class Connection:
    """A connection after its preface. Reading answers the other side's SETTINGS and nothing else."""

    def __init__(self, address, first=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=WAIT)
        self.got = b""
        self.send(PREFACE + (first or settings()))
        self.await_frame(WINDOW_UPDATE)  # it comes after the SETTINGS, which so have their answer before anything else is said

    def send(self, data):
        self.socket.sendall(data)

    def call(self, stream, request, path=None):
        self.send(frame(HEADERS, END_HEADERS, stream, head(path) if path else PUBLISH)
                  + frame(DATA, END_STREAM, stream, message(request)))

    def fill(self, n):
        while len(self.got) < n:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.got += more
        taken, self.got = self.got[:n], self.got[n:]
        return taken

    def frame(self):
        """The next frame that is not about settings: (kind, flags, stream, payload); None at the end."""
        while True:
            try:
                start = self.fill(9)
                payload = self.fill(int.from_bytes(start[:3], "big"))
            except (EOFError, ConnectionError):
                return None
            kind, flags = start[3], start[4]
            if kind != SETTINGS:
                return kind, flags, int.from_bytes(start[5:], "big"), payload
            if not flags & ACK:
                try:
                    self.send(frame(SETTINGS, ACK))
                except ConnectionError:
                    pass  # what it has still sent is to be read

    def await_frame(self, kind):
        while True:
            found = self.frame()
            if found is None:
                raise AssertionError("the connection ended first")
            if found[0] == kind:
                return found

    def goodbye(self):
        """Reads to the end: the error code of the last GOAWAY, or None without one."""
        code = None
        while True:
            found = self.frame()
            if found is None:
                return code
            if found[0] == GOAWAY:
                code = int.from_bytes(found[3][4:8], "big")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
