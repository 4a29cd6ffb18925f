# Answers each request at the socket of an instance with what the file of that name says: fake.py DIRECTORY INSTANCE
import datetime, os, re, select, socket, sys

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def ago(match):
    seconds = sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)([smhd])", match[1])) + 0.4
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds)
    return then.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


os.makedirs("/run/tmbridge/" + sys.argv[2], exist_ok=True)
listeners = {}
for kind in ("control", "status"):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("/run/tmbridge/" + sys.argv[2] + "/" + kind)
    listener.listen()
    listeners[listener.fileno()] = listener
while True:
    for fd in select.select(list(listeners), [], [])[0]:
        client, _ = listeners[fd].accept()
        words = client.makefile().readline().split()
        if words:
            text = open(sys.argv[1] + "/" + "-".join(words) + ".json").read()
            text = re.sub(r"@(\w+)@", ago, text)
            end = b"" if '"end"' in text else b'{"end":true,"exit":0}\n'
            client.sendall(text.encode() + end)
        client.close()
