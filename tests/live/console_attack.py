# Attacks the console as its guests, and as a tmbridge that is broken: console_attack.py CONSOLE DIRECTORY
# prints "ok WHAT" or "not ok WHAT" for each thing. What stands in tmbridge's place is made up here.
import concurrent.futures, http.client, json, os, random, select, socket, ssl, subprocess, sys, threading, time

CONSOLE, DIRECTORY = sys.argv[1:3]
TOKEN = "0123456789abcdef0123"
BEARER = f"Authorization: Bearer {TOKEN}\r\n"
IS_SLOWEST = os.environ["VARIANT"] == "tsan"
PATIENCE = 20  # of the test; what is asked for is that an answer comes at all, while others misbehave
END = b'{"end":true,"exit":0}\n'
FIGURES = json.dumps({"version": "0", "uptime_s": 1.5, "frames": {"received": 9}, "flows": {"open": 1, "created": 1, "refused": 0},
                      "farms": [{"name": "pool", "servers": [{"name": "fe1", "connections": 1, "connections_total": 1}]}]}).encode() + b"\n"


def check(what, good):
    sys.stdout.write(f"{'ok' if good else 'not ok'} {what}\n")  # in one piece, as there are several threads
    sys.stdout.flush()


# ---- In tmbridge's place ----

# Also by one who has been answered, until he closes it. (That he has done so shows at once, whenever the thread that answers him goes on.)
def is_held(client):
    poll = select.poll()
    poll.register(client, 0)
    return not poll.poll(0)


class Fake:
    def __init__(self, name):
        self.name, self.how, self.clients, self.most, self.lock = name, "well", set(), 0, threading.Lock()
        os.makedirs(f"/run/tmbridge/{name}", exist_ok=True)
        self.listeners = []
        self.listen()

    def listen(self):
        for kind in ("status", "control"):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(f"/run/tmbridge/{self.name}/{kind}")
            listener.listen(64)
            self.listeners.append(listener)
            threading.Thread(target=self.serve, args=(listener,), daemon=True).start()

    def go(self):
        for listener in self.listeners:
            os.unlink(listener.getsockname())
            listener.shutdown(socket.SHUT_RDWR)
        self.listeners = []

    def serve(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(client,), daemon=True).start()

    def answer(self, client):
        with self.lock:
            self.clients.add(client)
            self.most = max(self.most, sum(map(is_held, self.clients)))
        try:
            words = client.makefile().readline().split()
            if words:
                self.say(client, words)
        except OSError:
            pass
        with self.lock:
            self.clients.remove(client)
            client.close()

    def say(self, client, words):
        if self.how == "silent":
            client.recv(1)
        elif self.how == "half":
            client.sendall(FIGURES[:20])
        elif self.how == "nonsense":
            client.sendall(b'\x00\xff{"farms":7,"flows":[],"end":' + os.urandom(200) + b"\n" + END)
        elif self.how == "odd":
            client.sendall(b'{"uptime_s":"x","farms":[{"name":7},{"name":"\\"","servers":{}},{"name":"a","servers":[1,{"name":"b\\"c"}]}]}\n' + END)
        elif self.how == "endless":
            for _ in range(40):
                client.sendall(b"x" * (1 << 20))
        elif words[0] == "config":
            client.sendall((b'{"text":"' + b"x" * 1000 + b'"}\n') * 4000 + END)
        elif words[0] == "flows":
            time.sleep(0.1)
            client.sendall(END)
        else:
            client.sendall((FIGURES if words[0] == "status" else b"") + END)


# ---- The console ----

class Console:
    def __init__(self, name, port, *options):
        self.port, self.err = port, f"{DIRECTORY}/console{port}.err"
        self.process = subprocess.Popen([CONSOLE, "--instance", name, "--listen", f"127.0.0.1:{port}", *options], stderr=open(self.err, "w"))
        self.wait("to listen", lambda: "console: http" in self.said())
        self.idle = self.files()

    def said(self):
        return open(self.err).read()

    def wait(self, what, condition):
        end = time.time() + PATIENCE
        while not condition():
            if time.time() > end or self.process.poll() is not None:
                return check(f"{self.port}: {what}", False)
            time.sleep(0.03)
        return True

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def mebibytes(self):
        return next(int(line.split()[1]) // 1024 for line in open(f"/proc/{self.process.pid}/status") if line.startswith("VmRSS"))

    def connect(self, data=b"", room=None):
        s = socket.socket()
        if room:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        s.settimeout(PATIENCE)
        s.connect(("127.0.0.1", self.port))
        try:
            s.sendall(data)
        except OSError:
            pass  # it has heard enough
        return s

    # All that comes to that, until the other end has had enough.
    def raw(self, data, more=b"", over=False):
        s, got = self.connect(data + more), b""
        if over:
            s.shutdown(socket.SHUT_WR)
        try:
            while part := s.recv(1 << 16):
                got += part
        except OSError:
            pass
        s.close()
        return got

    def head(self, line, more=""):
        return f"{line}\r\nHost: 127.0.0.1:{self.port}\r\n{more}\r\n".encode()

    # The status alone: 0 if there is none.
    def status(self, line, more="", body=b""):
        got = self.raw(self.head(line, "Connection: close\r\n" + more), body)
        return int(got[9:12]) if got.startswith(b"HTTP/1.1 ") else 0

    def get(self, path, more=BEARER):
        return self.status(f"GET {path} HTTP/1.1", more)

    def post(self, body, more=BEARER):
        return self.status("POST /api/do HTTP/1.1", f"{more}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n", body)

    # While a crowd is still coming in, one who comes may have to try again.
    def works(self, what):
        check(what, self.wait(what, lambda: self.get("/api/status") == 200))

    def end(self):
        self.process.terminate()
        check(f"{self.port}: it ends, and has nothing to complain of", self.process.wait(PATIENCE) == 0 and "Sanitizer" not in self.said())


def hold(console, n, data, room=None):
    return [console.connect(data, room) for _ in range(n)]


def leave(console, crowd):
    for s in crowd:
        s.close()
    console.wait("all have left", lambda: console.files() <= console.idle + 4)


def first_of(s):
    try:
        return s.recv(12)
    except OSError:
        return b""


def crowds():
    crowd = hold(one, 300, b"GET / HTTP/1.1\r\nHost: x")
    one.works("300 half requests keep nobody out")
    check("and hold no more than their places", one.files() <= one.idle + 112)
    check("and soon no more than their seats", one.wait("those without one leave", lambda: one.files() < 110))
    crowd += hold(one, 1000, b"")
    one.works("nor do 1000 who say nothing")
    leave(one, crowd)
    crowd = hold(one, 150, one.head("GET /api/status HTTP/1.1"))
    one.works("nor 150 without the token, who are made to wait")
    leave(one, crowd)
    crowd = hold(one, 40, one.head("GET /api/stream HTTP/1.1", BEARER), 2048)
    one.works("nor 40 who look and don't read")
    opened = [first_of(s) for s in crowd]
    check("of whom some may", 20 <= opened.count(b"HTTP/1.1 200") <= 24)
    leave(one, crowd)
    crowd = hold(one, 60, one.head("GET /api/config HTTP/1.1", BEARER), 2048)
    one.works("nor 60 who ask for 4 MB each and don't read")
    check(f"which takes a bounded memory ({one.mebibytes()} MiB)", one.mebibytes() < (900 if "debug" in CONSOLE else 300))
    leave(one, crowd)
    crowd = hold(one, 40, one.head("GET /api/flows HTTP/1.1", BEARER))
    one.works("nor 40 who ask at once")
    leave(one, crowd)
    check(f"who take {fake.most} places at the socket", fake.most <= 4)


def requests():
    many = "".join(f"X-{i}: {i}\r\n" for i in range(20000))
    check("a header of 1 MB", one.get("/", "X: " + "x" * (1 << 20) + "\r\n") in (0, 400, 413, 431))
    check("20,000 headers", one.get("/", many) in (0, 400, 413, 431))
    check("a path of 60 KB", one.get("/" + "x" * 60000) in (0, 400, 414))
    check("10,000 arguments", one.get("/api/flows?" + "&".join(f"q{i}" for i in range(10000))) in (0, 400, 414))
    check("10 GB, by who doesn't know the token", one.status("POST /api/do HTTP/1.1", "Content-Length: 10000000000\r\n") == 401)
    check("10 GB", one.status("POST /api/do HTTP/1.1", BEARER + "Content-Type: application/json\r\nContent-Length: 10000000000\r\n") == 413)
    check("one byte too many", one.post(b" " * 4097) == 413 and one.post(b" " * 4096) == 400)
    chunked = BEARER + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    check("chunks without an end", one.status("POST /api/do HTTP/1.1", chunked, b"100\r\n" + b"x" * 256 + b"\r\n" + b"100\r\n" * 100) in (0, 400, 413))
    check("chunks", one.status("POST /api/do HTTP/1.1", chunked, b'6\r\n{"do":\r\nb\r\n["reload"]}\r\n0\r\n\r\n') == 200)
    got = one.raw(one.head("GET / HTTP/1.1", "Content-Length: 99\r\n"), one.head("GET /api/needs HTTP/1.1"))
    check("a request in another's body is none", got.count(b"HTTP/1.1 ") == 1 and b"413" in got[:20])
    for length in ("-1", "x", "18446744073709551616", "99999999999999999999999"):
        check(f"a length of {length}", one.status("POST /api/do HTTP/1.1", f"{BEARER}Content-Type: application/json\r\nContent-Length: {length}\r\n") in (0, 400, 413))
    for body in (b"[" * 4096, b'{"do":' + b"[" * 4000, b'{"a":' * 800, b'{"do":[' + b'"x",' * 1000 + b'"x"]}', b'{"do":["reload\\u0000"]}', b'{"do":["re\xffload"]}',
                 b'{"do":["reload\\n"]}', b'{"do":["reload",1e999]}', b'{"do":["capture"]}', b'{"do":["server","drain","a b"]}', b'{"do":{"reload":1}}', b"null", b""):
        check(f"the body {body[:24]}", one.post(body) == 400)
    got = one.raw(one.head("GET /api/needs HTTP/1.1") * 199 + one.head("GET /api/needs HTTP/1.1", "Connection: close\r\n"))
    check("200 requests at once", got.count(b"HTTP/1.1 200") == 200)
    for method in ("OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "get", "GETT", "CONNECT"):
        check(method, one.status(f"{method} /api/status HTTP/1.1", BEARER) in (400, 405))
    check("405 says what may be", b"Allow: GET, HEAD, POST" in one.raw(one.head("PUT / HTTP/1.1")))
    got = one.raw(one.head("HEAD / HTTP/1.1", "Connection: close\r\n"))
    check("HEAD", got.startswith(b"HTTP/1.1 200") and got.endswith(b"\r\n\r\n"))
    paths = ("/api/status%00", "//api/status", "/api//status", "/api/./status", "/api/status/", "/API/status", "/%61pi/status", "/api%2fstatus", "/api/status;x",
                 "/x/../api/status", "/%2e%2e/%2e%2e/etc/passwd", "/..%c0%af../etc/passwd", "/../../../../etc/passwd", "/console.js/../api/status", "http://127.0.0.1/api/status",
                 "/api/status%", "/api/status%zz", "/?/api/status", "/console.css%00/api/status", "*", "/api/flows?q=%0d%0aX:y")
    def ask(path):  # all of them at once, as each is made to wait
        got = one.raw(one.head(f"GET {path} HTTP/1.1", "Connection: close\r\n"))
        check(f"{path}, without the token", got.startswith(b"HTTP/1.1 ") and b"uptime_s" not in got and b"root:x:" not in got and b"\r\nX:y" not in got)

    list(concurrent.futures.ThreadPoolExecutor(len(paths)).map(ask, paths))
    random.seed(1)
    for i in range(40):
        one.connect(bytes(random.randrange(256) for _ in range(random.randrange(1, 400)))).close()
    for data in (b"\x16\x03\x01\x02\x00\x01\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /\n\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 1000, b"\0" * 1000, b"GET / HTTP/1.1\r\nHost\r\n\r\n",
                 b"GET / HTTP/1.1\r\n : x\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
        check(f"{data[:20]}", b"HTTP/1.1 200" not in one.raw(data, over=True))
    for a, b in (("evil.example", f"127.0.0.1:{one.port}"), (f"127.0.0.1:{one.port}", "evil.example")):
        check(f"two names, {a} first", b" 200 " not in one.raw(f"GET /api/needs HTTP/1.1\r\nHost: {a}\r\nHost: {b}\r\nConnection: close\r\n\r\n".encode())[:20] or a != "evil.example")
    one.works("after all that")


def broken():
    for how, status in (("half", 500), ("endless", 500), ("nonsense", 200), ("odd", 200)):
        bad.how = how
        got = two.get("/api/status")
        check(f"a tmbridge that answers {how}: {got}", got == status or (got == 504 and how == "endless" and IS_SLOWEST))  # nor through 16 MiB in 5 s
        for path in ("/metrics", "/api/flows", "/api/history?names=open,a/b", "/api/events"):
            got = two.get(path)
            check(f"and {path}: {got}", got in (200, 500) or (got == 504 and how == "endless"))  # a busy machine doesn't get through what is refused
    stream = two.connect(two.head("GET /api/stream HTTP/1.1", BEARER))
    bad.how = "silent"
    check("one that is stopped", two.get("/api/status") == 504)
    bad.how = "well"
    bad.go()
    check("that has gone", two.get("/api/status") == 503)
    bad.listen()
    two.works("and is back")
    got = b""
    while b"event: away" not in got or not got.partition(b"event: away")[2].count(b"event: figures"):
        got += stream.recv(1 << 16) or exit("the stream has ended")
    check("who looks is told so, and gets figures again", True)


def certificate(name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{DIRECTORY}/{name}.key", "-out",
                    f"{DIRECTORY}/{name}.pem", "-days", "2", "-subj", "/CN=lb"], stderr=subprocess.DEVNULL, check=True)
    return f"{DIRECTORY}/{name}"


def tls():
    a, b = certificate("a"), certificate("b")
    open(f"{DIRECTORY}/none.pem", "w").write("no certificate\n")
    for cert, key in ((f"{DIRECTORY}/none.pem", f"{a}.key"), (f"{a}.pem", f"{DIRECTORY}/none.pem"), (f"{a}.pem", f"{b}.key"), (f"{a}.pem", "/nonexistent")):
        done = subprocess.run([CONSOLE, "--listen", "127.0.0.1:8644", "--certificate", cert, "--key", key], capture_output=True, text=True, timeout=PATIENCE)
        check(f"{os.path.basename(cert)} with {os.path.basename(key)}", done.returncode == 1 and done.stderr.count("tmbridge: console: ") >= 1)
    three = Console("good", 8644, "--certificate", f"{a}.pem", "--key", f"{a}.key", "--token-file", f"{DIRECTORY}/token")
    crowd = hold(three, 100, b"\x16\x03\x01\x02\x00\x01\x00")
    crowd += hold(three, 20, three.head("GET / HTTP/1.1"))
    context = ssl._create_unverified_context()
    guest = http.client.HTTPSConnection("127.0.0.1", 8644, context=context, timeout=PATIENCE)
    guest.request("GET", "/api/status", headers={"Authorization": f"Bearer {TOKEN}"})
    check("half a handshake, a hundred times, and no TLS at all", guest.getresponse().status == 200)
    guest.close()
    leave(three, crowd)
    three.end()


open(f"{DIRECTORY}/token", "w").write(TOKEN + "\n")
fake, bad = Fake("good"), Fake("bad")
one = Console("good", 8642, "--token-file", f"{DIRECTORY}/token", "--admin")
two = Console("bad", 8643, "--token-file", f"{DIRECTORY}/token")
beside = [threading.Thread(target=broken), threading.Thread(target=tls)]
for thread in beside:
    thread.start()
crowds()
requests()
for thread in beside:
    thread.join()
leave(one, [])
one.end()
two.end()
