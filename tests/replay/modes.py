"""One recorded conversation as it would have been in another mode, and what was sent in it, made comparable.

    modes.py make MODE RECORDING DIRECTORY    out.pcap (and in.pcap) as that mode's ports would have received them
    modes.py tell MODE OUT.pcap [IN.pcap]     what was sent to servers, and to clients: a line for each packet, with the
                                              addresses of the recording, without MAC addresses, TTL less than it came with
"""
import struct
import sys

OUTSIDE, INSIDE = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
SERVERS = {b"\2\0\0\0\0\x41", b"\2\0\0\0\0\x42"}


def address(text):
    return bytes(map(int, text.split(".")))


# The recording's are 10.0.0.40 (VIP and SNAT address), .41 and .42. What the servers see of it in a mode:
ADDRESSES = {
    "transparent": {},
    "routed": {address(f"10.0.0.{n}"): address(f"192.168.0.{n}") for n in (40, 41, 42)},
    "one-armed": {},
}


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    at = 24
    while at < len(data):
        s, us, n, whole = struct.unpack_from("<IIII", data, at)
        assert n == whole
        yield (s, us), data[at + 16 : at + 16 + n]
        at += 16 + n


def write(path, packets):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for (s, us), data in packets:
            file.write(struct.pack("<IIII", s, us, len(data), len(data)) + data)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def is_tcp(frame):
    return frame[12:14] == b"\x08\0" and frame[14 + 9] == 6


def split(frame):
    """Header, addresses, TCP: of the length that IP says."""
    header = (frame[14] & 15) * 4
    length = struct.unpack_from(">H", frame, 16)[0]
    return frame[14 : 14 + header], frame[14 + header : 14 + length]


def is_whole(frame):
    ip, tcp = split(frame)
    pseudo = ip[12:20] + struct.pack(">HH", 6, len(tcp))
    return checksum(ip) == 0 and checksum(pseudo + tcp) == 0


def with_addresses(frame, addresses):
    ip, tcp = split(frame)
    ends = b"".join(addresses.get(ip[at : at + 4], ip[at : at + 4]) for at in (12, 16))
    tcp = tcp[:16] + b"\0\0" + tcp[18:]
    tcp = tcp[:16] + struct.pack(">H", checksum(ends + struct.pack(">HH", 6, len(tcp)) + tcp)) + tcp[18:]
    ip = ip[:10] + b"\0\0" + ends + ip[20:]
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return frame[:14] + ip + tcp


def make(mode, recording, directory):
    clients = [p for p in read(f"{recording}/outside-in.pcap") if is_tcp(p[1])]
    servers = [
        (time, with_addresses(frame, ADDRESSES[mode]))
        for time, frame in read(f"{recording}/inside-in.pcap")
        if is_tcp(frame)
    ]
    if mode == "one-armed":
        servers = [(time, OUTSIDE + frame[6:]) for time, frame in servers]
        write(f"{directory}/out.pcap", sorted(clients + servers))
    else:
        write(f"{directory}/out.pcap", clients)
        write(f"{directory}/in.pcap", servers)


def tell(mode, *paths):
    spent = 0 if mode == "transparent" else 1
    back = {new: old for old, new in ADDRESSES[mode].items()}
    for time, frame in sorted(p for path in paths for p in read(path)):
        if not is_tcp(frame):
            continue
        assert is_whole(frame), "a checksum is wrong"
        to_server = frame[:6] in SERVERS
        assert frame[6:12] == (INSIDE if to_server and mode != "one-armed" else OUTSIDE)
        frame = with_addresses(frame, back)
        ip, tcp = split(frame)
        ip = ip[:8] + bytes([ip[8] + spent]) + ip[9:10] + b"\0\0" + ip[12:]
        print("server" if to_server else "client", time[0], time[1], ip.hex(), tcp.hex())


if sys.argv[1] == "make":
    make(*sys.argv[2:])
else:
    tell(*sys.argv[2:])
