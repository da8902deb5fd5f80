"""
A small savings-account API, the kind of application a gateway stands in
front of.  Run several: they share nothing but PostgreSQL and the secret that
signs their tokens.

    backend.py NAME SECRET_FILE CONNINFO PORT_FILE

Listens on a free port of 127.0.0.1 and writes its number to PORT_FILE once it
can serve.  Every answer names the backend that made it and the user it was
made for.
"""

import base64
import contextlib
import datetime
import hashlib
import hmac
import http.server
import json
import os
import queue
import sys
import time
import urllib.parse
import uuid

import psycopg2

ISSUER = "https://savings.example"
TOKEN_SECONDS = 3600
SLOW_QUERY_SECONDS = 0.3
BODY_MAX = 65536


class Refusal(Exception):
    """Ends a request with a status and a reason the client may read."""

    def __init__(self, status, reason, headers=()):
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


class Tokens:
    """HS256 JSON web tokens, RFC 7519."""

    def __init__(self, secret):
        self.secret = secret

    def issue(self, login):
        now = int(time.time())
        header = {"alg": "HS256", "typ": "JWT"}
        claims = {"iss": ISSUER, "sub": login, "iat": now,
                  "exp": now + TOKEN_SECONDS, "jti": str(uuid.uuid4())}
        signed = encode(header) + "." + encode(claims)
        return signed + "." + self.sign(signed)

    def verify(self, token):
        """Returns the subject; the algorithm is ours, not the token's."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(),
                                   self.sign(signed).encode()):
            raise ValueError("bad signature")
        claims = decode(signed.partition(".")[2])
        if claims["iss"] != ISSUER:
            raise ValueError("unknown issuer")
        if claims["exp"] <= time.time():
            raise ValueError("expired")
        return claims["sub"]

    def sign(self, signed):
        return base64url(hmac.digest(self.secret, signed.encode(), "sha256"))


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def is_text(value):
    """Said by a client and fit for PostgreSQL: no NUL, no lone surrogate."""
    return isinstance(value, str) and value != "" and value.isprintable()


def encode(value):
    return base64url(json.dumps(value, separators=(",", ":")).encode())


def decode(text):
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class Database:
    """A few connections, lent to one request at a time."""

    def __init__(self, conninfo, connections=4):
        self.conninfo = conninfo
        self.idle = queue.LifoQueue()
        for _ in range(connections):
            self.idle.put(None)

    @contextlib.contextmanager
    def cursor(self):
        connection = self.idle.get()
        try:
            if connection is None or connection.closed:
                connection = psycopg2.connect(self.conninfo)
            with connection, connection.cursor() as cursor:
                yield cursor
        except psycopg2.OperationalError as error:
            connection = None
            raise Refusal(503, "no database") from error
        finally:
            self.idle.put(connection)

    def query(self, sql, *values):
        with self.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "savings-demo"
    sys_version = ""
    wbufsize = -1                   # one answer, one write
    disable_nagle_algorithm = True
    timeout = 75                    # longer than nginx keeps it idle

    routes = {}

    def do_GET(self):
        self.user = None
        try:
            self.body = self.read_body()
            url = urllib.parse.urlsplit(self.path)
            self.query = dict(urllib.parse.parse_qsl(url.query))
            handler = self.routes.get((self.command, url.path))
            if handler is None:
                raise Refusal(404, "no such resource")
            handler(self)
        except Refusal as refusal:
            self.answer({"error": refusal.reason}, refusal.status,
                        dict(refusal.headers))

    do_POST = do_GET

    def read_body(self):
        try:
            length = int(self.headers.get("Content-Length", 0))
        except ValueError:
            length = -1
        if "Transfer-Encoding" in self.headers or not 0 <= length <= BODY_MAX:
            self.close_connection = True
            raise Refusal(413, "body missing its length, or too long")
        return self.rfile.read(length)

    def json_body(self):
        try:
            value = json.loads(self.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Refusal(400, "a JSON object is wanted")
        return value

    def identify(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise ValueError("no bearer token")
            self.user = self.server.tokens.verify(token.strip())
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(401, "not logged in", {
                "WWW-Authenticate": 'Bearer error="invalid_token"'}) from error

    def answer(self, value, status=200, headers=None):
        body = json.dumps({"backend": self.server.name, "user": self.user,
                           **value}).encode() + b"\n"
        self.begin(status, "application/json", {
            "Cache-Control": "no-store", **(headers or {}),
            "Content-Length": len(body)})
        self.wfile.write(body)

    def begin(self, status, content_type, headers):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format, *args):
        print(time.strftime("%H:%M:%S"), format % args, flush=True)


def route(method, path):
    def keep(function):
        Handler.routes[method, path] = function
        return function
    return keep


PRIVATE = {"Cache-Control": "private, max-age=120"}


@route("GET", "/health")
def health(self):
    self.server.database.query("SELECT 1")
    self.answer({"status": "healthy"})


@route("POST", "/auth/login")
def login(self):
    body = self.json_body()
    name, password = body.get("user"), body.get("password")
    if not is_text(name) or not is_text(password):
        raise Refusal(400, '"user" and "password" are wanted')
    rows = self.server.database.query(
        "SELECT salt, password FROM users WHERE login = %s", name)
    salt, known = rows[0] if rows else (b"", b"")
    given = hashlib.sha256(bytes(salt) + password.encode()).digest()
    if not hmac.compare_digest(given, bytes(known)):
        raise Refusal(401, "wrong user or password")
    self.user = name
    self.answer({"token": self.server.tokens.issue(name),
                 "expires_in": TOKEN_SECONDS})


@route("GET", "/api/v1/allocations")
def allocations(self):
    self.identify()
    today = datetime.date.today()
    try:
        first = datetime.date(int(self.query.get("year", today.year)),
                              int(self.query.get("month", today.month)), 1)
        last = (first + datetime.timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError) as error:
        raise Refusal(400, "no such month") from error
    time.sleep(SLOW_QUERY_SECONDS)
    rows = self.server.database.query(
        "SELECT day, goal, cents FROM allocations"
        " WHERE login = %s AND day >= %s AND day < %s ORDER BY day, id",
        self.user, first, last)
    self.answer({
        "month": first.strftime("%Y-%m"),
        "total_cents": sum(row[2] for row in rows),
        "allocations": [{"day": str(day), "goal": goal, "cents": cents}
                        for day, goal, cents in rows]}, 200,
        {**PRIVATE, "Surrogate-Key": "allocations:" + self.user})


@route("POST", "/api/v1/allocations")
def allocate(self):
    self.identify()
    body = self.json_body()
    try:
        day = datetime.date.fromisoformat(body["day"])
        goal, cents = body["goal"], body["cents"]
        if (not is_text(goal) or type(cents) is not int
                or not 0 < cents < 2 ** 31):
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise Refusal(400, '"day", "goal" and "cents" are wanted') from error
    self.server.database.query(
        "INSERT INTO allocations (login, day, goal, cents)"
        " VALUES (%s, %s, %s, %s) RETURNING id", self.user, day, goal, cents)
    self.answer({"day": str(day), "goal": goal, "cents": cents}, 201)


@route("GET", "/api/v1/profile")
def profile(self):
    self.identify()
    rows = self.server.database.query(
        "SELECT name FROM users WHERE login = %s", self.user)
    if not rows:
        raise Refusal(404, "no such user")
    self.answer({"name": rows[0][0]}, 200, PRIVATE)


@route("POST", "/api/v1/profile")
def rename(self):
    self.identify()
    name = self.json_body().get("name")
    if not is_text(name):
        raise Refusal(400, '"name" is wanted')
    self.server.database.query(
        "UPDATE users SET name = %s WHERE login = %s RETURNING login",
        name, self.user)
    self.answer({"name": name})


@route("GET", "/api/v1/chat")
def chat(self):
    """An answer that is made while it is sent, a word every 200 ms."""
    self.identify()
    self.begin(200, "text/event-stream", {
        "Cache-Control": "no-store", "Transfer-Encoding": "chunked"})
    words = f"{self.server.name} says: {self.user}, a penny saved is a penny"
    for word in words.split() + ["earned."]:
        event = f"data: {word}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
        self.wfile.flush()
        time.sleep(0.2)
    self.wfile.write(b"0\r\n\r\n")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        # a client that left in the middle is no news
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main(name, secret_file, conninfo, port_file):
    server = Server(("127.0.0.1", 0), Handler)
    server.name = name
    server.database = Database(conninfo)
    server.database.query("SELECT 1")
    with open(secret_file, "rb") as file:
        server.tokens = Tokens(file.read())
    with open(port_file + ".new", "w") as file:
        print(server.server_port, file=file)
    os.rename(port_file + ".new", port_file)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
