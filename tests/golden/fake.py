# Answers each request at the socket of an instance with what the file of that name says: fake.py DIRECTORY INSTANCE
import datetime, os, re, socket, sys

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def ago(match):
    seconds = sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)([smhd])", match[1])) + 0.4
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds)
    return then.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


os.makedirs("/run/tmbridge/" + sys.argv[2], exist_ok=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind("/run/tmbridge/" + sys.argv[2] + "/status")
listener.listen()
while True:
    client, _ = listener.accept()
    words = client.makefile().readline().split()
    if words:
        text = open(sys.argv[1] + "/" + "-".join(words) + ".json").read()
        text = re.sub(r"@(\w+)@", ago, text)
        client.sendall(text.encode() + b'{"end":true,"exit":0}\n')
    client.close()
