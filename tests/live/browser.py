# Looks at the console as somebody with a browser does, by the keyboard where he can: browser.py URL TOKEN DIRECTORY
# prints "ok WHAT" or "not ok WHAT" for each thing, and leaves screenshots in DIRECTORY. Chromium is driven by its own
# protocol over two pipes.
import base64, json, os, shutil, subprocess, sys, time

URL, TOKEN, SHOTS = sys.argv[1:4]
BROWSER = shutil.which("chromium-headless-shell") or "chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run",
         "--disable-extensions", "--disable-component-update", "--remote-debugging-pipe", "--host-resolver-rules=MAP evil.example 127.0.0.1"]


class Browser:
    def __init__(self):
        to_it, self.to = os.pipe()
        self.come, from_it = os.pipe()

        def pipes():
            os.dup2(to_it, 13), os.dup2(from_it, 14)
            os.dup2(13, 3), os.dup2(14, 4)

        self.process = subprocess.Popen(
            [BROWSER, "--user-data-dir=" + SHOTS + "/profile"] + FLAGS,
            preexec_fn=pipes, close_fds=False, stderr=subprocess.DEVNULL)
        os.close(to_it), os.close(from_it)
        self.rest, self.number, self.complaints, self.session = b"", 0, [], None

    def send(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]

    def receive(self):
        while b"\0" not in self.rest:
            part = os.read(self.come, 1 << 20)
            if not part:
                raise SystemExit("the browser has gone")
            self.rest += part
        line, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(line)
        self.note(message.get("method"), message.get("params", {}))
        return message

    def note(self, method, params):
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"])[:300])
        if method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.complaints.append(str(params["args"])[:300])

    def attach(self):
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            self.send(domain + ".enable")
        self.size(1280, 900)

    def size(self, width, height):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def dark(self, dark):
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def value(self, expression):
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            return None
        return result["result"].get("value")

    def key(self, key, code, text=""):
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **({"text": text} if text and kind == "keyDown" else {}))

    def shot(self, name):
        with open(f"{SHOTS}/{name}.png", "wb") as file:
            file.write(base64.b64decode(self.send("Page.captureScreenshot")["data"]))


def check(what, good):
    print("ok" if good else "not ok", what, flush=True)


def until(what, expression, seconds=60):
    end = time.time() + seconds
    while time.time() < end:
        if browser.value(expression):
            return check(what, True)
        time.sleep(0.05)
    check(what, False)


browser = Browser()
browser.attach()
browser.dark(False)
browser.send("Page.navigate", url=URL)
until("without the token it says that it takes one", "document.getElementById('banner').textContent.includes('takes a token')")
check("and shows no figures", not browser.value("document.querySelectorAll('#farms table').length"))

# the token, by the keyboard
browser.value("document.getElementById('login').focus()")
browser.key("Enter", 13, "\r")
browser.send("Input.insertText", text=TOKEN)
browser.key("Enter", 13, "\r")
until("with it, it shows the farm", "document.querySelectorAll('#farms tbody tr').length === 2")
until("plots are drawn", "document.querySelectorAll('#plot-open canvas').length > 0")
until("rates are known", "state.before && !document.querySelector('#farms td:nth-child(7)').textContent.includes('–')")
browser.shot("overview-light")

# the focus stays where it is, though the page is made anew each second
browser.value("document.querySelector('#farms a').focus()")
was = browser.value("state.now.uptime_s")
until("figures go on", f"state.now.uptime_s > {was} + 1.5")
check("the focus stays", browser.value("document.activeElement.hash") == "#farm/pool")
browser.key("Enter", 13, "\r")
until("a farm's page, by the keyboard", "!document.getElementById('page-farm').hidden && document.querySelectorAll('#farm-servers tbody tr').length === 2")
browser.shot("farm")

# what servers and people say is text
until("a reason from outside is shown", "document.body.textContent.includes('<img/src=x')")
check("as text", browser.value("document.querySelectorAll('img').length") == 0 and browser.value("document.title") == "tmbridge: farm")

# a change
browser.value("[...document.querySelectorAll('#farm-servers button')].find((b) => b.ariaLabel === 'Drain fe1').focus()")
browser.key("Enter", 13, "\r")
until("a change is asked about", "document.getElementById('dialog').open")
browser.shot("dialog")
was = browser.value("state.now.uptime_s")
until("the page goes on behind it", f"state.now.uptime_s > {was} + 1.5")
browser.value("document.getElementById('dialog-ok').focus()")
browser.key("Enter", 13, "\r")
until("and done", "document.querySelector('#farm-servers').textContent.includes('drain *')")
check("the focus is back on its button", browser.value("document.activeElement.ariaLabel") == "Drain fe1")
numbers = browser.value("JSON.stringify(state.now.farms[0].servers.map((s) => [s.name, s.connections_total, s.client_bytes, s.server_bytes]))")
shown = browser.value("JSON.stringify([...document.querySelectorAll('#farm-servers tbody tr')].map((r) => r.cells[8].textContent))")
print("numbers", numbers)
print("shown", shown)

for page in ("flows", "events", "rules"):
    browser.value(f"location.hash = '{page}'")
    until(f"the page {page}", f"!document.getElementById('page-{page}').hidden && document.querySelectorAll('#page-{page} :is(tbody tr, li, pre:not(:empty))').length > 0")
browser.shot("rules")
browser.value("document.querySelector('.skip').focus()")
browser.key("Enter", 13, "\r")
check("skipping to the content stays on the page", browser.value("document.activeElement.id") == "main" and browser.value("location.hash") == "#rules")
browser.value("location.hash = 'events'")
browser.shot("events")
browser.value("location.hash = 'farm/%'")
until("a name that is none harms nothing", "document.getElementById('farm-title').textContent.includes('There is no farm')")
was = browser.value("state.now.uptime_s")
until("nor afterwards", f"state.now.uptime_s > {was} + 0.5")

browser.value("location.hash = 'overview'")
browser.dark(True)
until("dark", "matchMedia('(prefers-color-scheme: dark)').matches")
browser.shot("overview-dark")
browser.value("location.hash = 'farm/pool'")
until("nothing of a farm is out of sight", "[...document.querySelectorAll('#farm-servers')].every((e) => e.scrollWidth <= e.clientWidth)")
browser.shot("farm-dark")
browser.size(390, 800)
browser.shot("phone-farm-dark")
browser.value("location.hash = 'overview'")
until("nothing is wider than a phone", "document.documentElement.scrollWidth <= 390")
browser.shot("phone-dark")
browser.value("document.getElementById('pause').click()")
browser.value("for (const e of document.querySelectorAll('#farms h3 a, #farms tbody th, #last li b')) e.textContent = 'x'.repeat(63)")
check("by long names neither, and how a server is stays in sight", browser.value(
    "[...document.querySelectorAll('#farms h3 *, #farms tbody td:nth-child(2), #last li b')].every((e) => e.getBoundingClientRect().right <= 390)"))
browser.value("document.getElementById('pause').click()")
browser.value("location.hash = 'flows'")
time.sleep(0.1)
browser.shot("phone-flows-dark")
browser.dark(False)
browser.value("location.hash = 'overview'")
until("light again", "!matchMedia('(prefers-color-scheme: dark)').matches")
browser.shot("phone-light")
check("no complaint of the browser", not browser.complaints)
for complaint in browser.complaints:
    print("#", complaint)

browser.send("Page.navigate", url=URL.replace("127.0.0.1", "evil.example"))
until("another name is refused", "location.hostname === 'evil.example' && document.body.textContent.includes('error')")
check("and is told nothing", not browser.value("document.getElementById('farms')"))
browser.session = None
browser.send("Browser.close")
browser.process.wait(10)
