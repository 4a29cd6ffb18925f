#!/usr/bin/python3
"""Raw frames against held connections: attack.py SECONDS. See attack.sh.

Who attacks sees nothing but a connection's numbers as they were a moment ago, which is more than a stranger has; what
it sends is never just right: beside the window, before it, far away, damaged, from another side, MAC address or VLAN.
"""
import ctypes
import json
import os
import random
import socket
import struct
import sys
import time

IPV6 = os.environ.get("FAMILY") == "6"
NET = "fd00::" if IPV6 else "10.0.0."
VIP, PORT = NET + "40", 5061
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
TCP, ICMPV6 = 6, 58
ETH_IPV4, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86DD
ETH_IP = ETH_IPV6 if IPV6 else ETH_IPV4
L3, L4 = 14, 54 if IPV6 else 34
MINE = bytes.fromhex("02deadbeef01")
TMB = {"dc": bytes.fromhex("020000000001"), "fe2": bytes.fromhex("020000000002")}
EVERYBODY = b"\xff" * 6
libc = ctypes.CDLL(None, use_errno=True)


def enter(namespace):
    with open(f"/run/netns/{namespace}") as f:
        if libc.setns(f.fileno(), 0):
            raise OSError(ctypes.get_errno(), namespace)


def listen_in(namespace):
    enter(namespace)
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind(("eth0", 3))
    s.setblocking(False)
    return s


def total(data):
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def address(text):
    return socket.inet_pton(socket.AF_INET6 if IPV6 else socket.AF_INET, text)


def text(packed):
    return socket.inet_ntop(socket.AF_INET6 if IPV6 else socket.AF_INET, packed)


def pseudo(src, dst, protocol, data):
    tail = struct.pack("!II", len(data), protocol) if IPV6 else struct.pack("!HH", protocol, len(data))
    return address(src) + address(dst) + tail


def ip(src, dst, protocol, data, hops=64):
    if IPV6:
        return struct.pack("!IHBB", 0x60000000, len(data), protocol, hops) + address(src) + address(dst) + data
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), random.getrandbits(16), 0x4000, 64, protocol, 0,
                       address(src), address(dst))
    return head[:10] + struct.pack("!H", total(head)) + head[12:] + data


def tcp(src, sport, dst, dport, seq, ack, flags, data=b"", window=65535, damage=0):
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, window, 0, 0)
    s = total(pseudo(src, dst, TCP, head + data) + head + data) ^ damage
    return ip(src, dst, TCP, head[:16] + struct.pack("!H", s) + head[18:] + data)


def icmpv6(src, dst, body, hops=64):
    s = total(pseudo(src, dst, ICMPV6, body) + body)
    return ip(src, dst, ICMPV6, body[:2] + struct.pack("!H", s) + body[4:], hops)


def advertisement(target, mac, flags):
    """What RFC 4861 lets a neighbour say to the VIP; flags: solicited 0x40, override 0x20."""
    return icmpv6(target, VIP, struct.pack("!BBHI", 136, 0, 0, flags << 24) + address(target) + b"\x02\x01" + mac, 255)


def solicitation(source, mac):
    return icmpv6(source, VIP, struct.pack("!BBHI", 135, 0, 0, 0) + address(VIP) + b"\x01\x01" + mac, 255)


def ether(to, source, kind, data, vlan=None):
    tag = struct.pack("!HH", 0x8100, vlan) if vlan is not None else b""
    return (to + source + tag + struct.pack("!H", kind) + data).ljust(60, b"\0")


def arp(oper, mac, ip, to_mac, to_ip):
    return struct.pack("!HHBBH6s4s6s4s", 1, ETH_IPV4, 6, 4, oper, mac, socket.inet_aton(ip), to_mac,
                       socket.inet_aton(to_ip))


class Attack:
    def __init__(self):
        self.seen = listen_in("client")
        self.server_seen = listen_in("fe1")
        self.out = {name: listen_in(name) for name in ("dc", "fe2")}
        self.flows = {}
        self.served = {}
        self.sent = {}

    def look(self):
        """What the connections' ends have said last."""
        for s, flows in ((self.seen, self.flows), (self.server_seen, self.served)):
            for _ in range(2000):
                try:
                    p = s.recv(100)
                except BlockingIOError:
                    break
                if p[12:14] != struct.pack("!H", ETH_IP) or p[L3 + (6 if IPV6 else 9)] != TCP:
                    continue
                n = 16 if IPV6 else 4
                src, dst = text(p[L4 - 2 * n : L4 - n]), text(p[L4 - n : L4])
                sport, dport, seq, ack, offset, flags = struct.unpack("!HHIIBB", p[L4 : L4 + 14])
                length = struct.unpack("!H", p[18:20] if IPV6 else p[16:18])[0] - (0 if IPV6 else 20) - (offset >> 4) * 4
                if dport == PORT and dst == VIP and flows is self.flows and not flags & (SYN | FIN | RST):
                    flows[src, sport] = (seq + length, ack)
                elif sport == PORT and flows is self.served and not flags & (SYN | FIN | RST):
                    flows[src, dst, dport] = (seq + length, ack)

    def send(self, what, frm, packet, kind=ETH_IP, vlan=None, to=None, source=MINE):
        try:
            self.out[frm].send(ether(to or TMB[frm], source, kind, packet, vlan))
            self.sent[what] = self.sent.get(what, 0) + 1
        except OSError:
            pass

    def edges(self, n):
        """Numbers that are wrong by little, by a window and by much."""
        return [n + d for d in (1 << 17, 1 << 20, (1 << 20) + 1, 1 << 31, -(1 << 20) - 2, -(1 << 21), -(1 << 31) + 1)] + [
            random.getrandbits(32) for _ in range(2)]

    def segments(self, src, sport, dst, dport, seq, ack, what):
        far = 1 << 22
        for frm in ("dc", "fe2"):
            for vlan in (None, 99):
                for n in self.edges(seq):
                    self.send(f"{what} RST", frm, tcp(src, sport, dst, dport, n, ack, RST), vlan=vlan)
                    self.send(f"{what} RST ACK", frm, tcp(src, sport, dst, dport, n, ack, RST | ACK), vlan=vlan)
                    self.send(f"{what} FIN", frm, tcp(src, sport, dst, dport, n, ack + far, FIN | ACK), vlan=vlan)
                for n in self.edges(ack):
                    self.send(f"{what} ACK", frm, tcp(src, sport, dst, dport, seq + far, n, ACK), vlan=vlan)
                    self.send(f"{what} data", frm, tcp(src, sport, dst, dport, seq + far, n, ACK | PSH, b"x" * 64), vlan=vlan)
            self.send(f"{what} damaged RST", frm, tcp(src, sport, dst, dport, seq, ack, RST | ACK, damage=0x1234))
            self.send(f"{what} damaged FIN", frm, tcp(src, sport, dst, dport, seq, ack, FIN | ACK, damage=0x1234))
            self.send(f"{what} SYN", frm, tcp(src, sport, dst, dport, random.getrandbits(32), 0, SYN))
            self.send(f"{what} SYN ACK", frm, tcp(src, sport, dst, dport, random.getrandbits(32), random.getrandbits(32), SYN | ACK))
            self.send(f"{what} no ACK", frm, tcp(src, sport, dst, dport, seq, 0, PSH, b"x" * 8))

    def handshakes(self, src, sport):
        """Who begins a connection anew in its client's name can answer that himself: by a side where no server is."""
        seq, ack = random.getrandbits(32), random.getrandbits(32)
        self.send("handshake SYN", "dc", tcp(src, sport, VIP, PORT, seq, 0, SYN))
        for server in (NET + "41", NET + "42"):
            self.send("handshake SYN ACK", "dc", tcp(server, PORT, VIP, sport, ack, seq + 1, SYN | ACK))
        self.send("handshake ACK", "dc", tcp(src, sport, VIP, PORT, seq + 1, ack + 1, ACK))

    def errors6(self, src, sport):
        for kind, code, rest in ((1, 0, 0), (1, 1, 0), (1, 3, 0), (1, 4, 0), (2, 0, 1280), (3, 0, 0), (4, 1, 6)):
            quoted = tcp(VIP, PORT, src, sport, random.getrandbits(32), 0, ACK)[:48]
            for frm in ("dc", "fe2"):
                self.send("ICMP error", frm, icmpv6(NET + "1", VIP, struct.pack("!BBHI", kind, code, 0, rest) + quoted))

    def errors(self, src, sport):
        if IPV6:
            return self.errors6(src, sport)
        for code, rest in ((0, 0), (1, 0), (2, 0), (3, 0), (4, 68), (13, 0)):
            quoted = tcp(VIP, PORT, src, sport, random.getrandbits(32), 0, ACK)[:28]
            body = struct.pack("!BBHI", 3, code, 0, rest) + quoted
            body = body[:2] + struct.pack("!H", total(body)) + body[4:]
            for frm in ("dc", "fe2"):
                self.send("ICMP error", frm, ip("10.0.0.1", VIP, 1, body))

    def neighbours6(self):
        for server in (NET + "41", NET + "42"):  # which are inside
            for flags in (0, 0x20, 0x60):
                self.send("advertisement of a server", "dc", advertisement(server, MINE, flags))
            self.send("solicitation of a server", "dc", solicitation(server, MINE))
        for mac in (MINE, bytes(6), EVERYBODY, TMB["dc"], TMB["fe2"]):
            self.send("advertisement of nobody", "dc", advertisement(NET + "41", mac, 0x60))
        for frm in ("dc", "fe2"):
            self.send("advertisement in a VLAN", frm, advertisement(NET + "100", MINE, 0x20), vlan=99)
            # what isn't to be believed: without the override flag
            self.send("advertisement without override", frm, advertisement(NET + "100", MINE, 0x40))

    def neighbours(self):
        if IPV6:
            return self.neighbours6()
        for ip in ("10.0.0.41", "10.0.0.42"):  # servers, which are inside
            for oper in (1, 2):
                self.send("ARP of a server", "dc", arp(oper, MINE, ip, EVERYBODY, ip), ETH_ARP, to=EVERYBODY)
                self.send("ARP of a server", "dc", arp(oper, MINE, ip, TMB["dc"], VIP), ETH_ARP)
        for mac in (MINE, bytes(6), EVERYBODY, TMB["dc"], TMB["fe2"]):
            self.send("ARP of nobody", "dc", arp(2, mac, "10.0.0.41", TMB["dc"], VIP), ETH_ARP)
        for frm in ("dc", "fe2"):  # in a VLAN that isn't theirs
            self.send("ARP in a VLAN", frm, arp(2, MINE, "10.0.0.100", TMB[frm], VIP), ETH_ARP, vlan=99)

    def run(self, seconds):
        end = time.time() + seconds
        while time.time() < end:
            self.look()
            for (src, sport), (seq, ack) in random.sample(sorted(self.flows.items()), min(5, len(self.flows))):
                self.segments(src, sport, VIP, PORT, seq, ack, "client")
                self.handshakes(src, sport)
                self.errors(src, sport)
            for (src, dst, dport), (seq, ack) in random.sample(sorted(self.served.items()), min(3, len(self.served))):
                self.segments(src, PORT, dst, dport, seq, ack, "server")
            self.neighbours()
            time.sleep(0.02)
        print(json.dumps({"flows": len(self.flows), "sent": sum(self.sent.values()), "kinds": self.sent}))


if __name__ == "__main__":
    attack = Attack()
    attack.run(float(sys.argv[1]))
