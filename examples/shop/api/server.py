"""Counts visitors in PostgreSQL, through libpq by ctypes (no package needed), and keeps the last answer in Redis."""
import ctypes
import ctypes.util
import http.server
import json
import os
import socket
import threading


class Postgres:
    """Just enough of libpq: connect, run one statement, read one value."""

    def __init__(self, conninfo):
        name = ctypes.util.find_library("pq") or "libpq.so.5"
        self.pq = ctypes.CDLL(name)
        for function in ("PQconnectdb", "PQexec"):
            getattr(self.pq, function).restype = ctypes.c_void_p
        for function in ("PQerrorMessage", "PQgetvalue"):
            getattr(self.pq, function).restype = ctypes.c_char_p
        self.pq.PQexec.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self.pq.PQgetvalue.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
        for function in ("PQstatus", "PQresultStatus", "PQclear", "PQfinish", "PQerrorMessage", "PQntuples"):
            getattr(self.pq, function).argtypes = [ctypes.c_void_p]
        self.conninfo, self.connection, self.lock = conninfo, None, threading.Lock()

    def value(self, sql):
        with self.lock:
            for attempt in (1, 2):
                if self.connection is None:
                    self.connection = self.pq.PQconnectdb(self.conninfo.encode())
                if self.pq.PQstatus(self.connection) == 0:
                    result = self.pq.PQexec(self.connection, sql.encode())
                    if self.pq.PQresultStatus(result) in (1, 2):
                        rows = self.pq.PQntuples(result)
                        text = self.pq.PQgetvalue(result, 0, 0).decode() if rows else None
                        self.pq.PQclear(result)
                        return text
                    self.pq.PQclear(result)
                error = self.pq.PQerrorMessage(self.connection).decode().strip()
                self.pq.PQfinish(self.connection)
                self.connection = None
            raise RuntimeError(f"PostgreSQL: {error}")


class Redis:
    """One command a connection, in RESP."""

    def __init__(self, host):
        self.host = host

    def command(self, *words):
        with socket.create_connection((self.host, 6379), timeout=3) as connection:
            parts = [word.encode() for word in words]
            connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
            reply = connection.makefile("rb")
            line = reply.readline().rstrip()
            if line[:1] == b"$":
                return None if line == b"$-1" else reply.read(int(line[1:])).decode()
            if line[:1] == b"-":
                raise RuntimeError(f"Redis: {line[1:].decode()}")
            return line[1:].decode()


password = open("/run/secrets/db_password", encoding="utf-8").read().strip()
database = Postgres(f"host={os.environ['DB_HOST']} user={os.environ['DB_USER']} dbname={os.environ['DB_NAME']} password={password} connect_timeout=5")
cache = Redis(os.environ["CACHE_HOST"])
database.value("CREATE TABLE IF NOT EXISTS visits (id int PRIMARY KEY, n bigint NOT NULL)")
database.value("INSERT INTO visits VALUES (1, 0) ON CONFLICT DO NOTHING")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            if self.path == "/healthz":
                cache.command("PING")
                body = {"healthy": database.value("SELECT 1") == "1"}
            else:
                count = int(database.value("UPDATE visits SET n = n + 1 WHERE id = 1 RETURNING n"))
                since_start = int(cache.command("INCR", "visits-since-start"))
                body = {"visits": count, "since_start": since_start, "served_by": socket.gethostname()}
            status = 200
        except Exception as error:  # whatever fails is the answer: the example shows what is wrong
            status, body = 503, {"error": str(error)}
        text = (json.dumps(body) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, form, *values):
        if self.path != "/healthz":
            print(self.address_string(), form % values)


print("listening on port 8000")
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
