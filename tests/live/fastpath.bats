# What the kernel carries by itself, with a process and without one.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_up
	server_tcp fe2 5061
	server_http fe1 80
	lab_file big 32
}

teardown()
{
	for job in tmbridge server client; do
		[[ ! -e $LAB_DIR/$job.pid ]] || lab_kill $job
	done
	in_ns tmb "$TMBRIDGE" wire release eth0 eth1 2>/dev/null || true
}

# A farm in which fe1 alone is.
start() # [SETTING...]
{
	FAST_PATH=${FAST:-kernel} lab_ini 'ports = 80, 444, 5061' 'fe2.state = disabled' "$@"
	tmbridge_start "$LAB_DIR/lb.ini"
}

# A connection that stands still for a while in the middle, between two transfers both ways.
talk_begin() # PAUSE-MS
{
	lab_spawn server fe1 "$TOOLS/talk" serve 5061 recv:10 send:1000 "pause:$1" send:3000000 recv:3000000 eof fin
	wait_until 20 server_listens fe1 5061
	lab_spawn client client "$TOOLS/talk" connect "$VIP" 5061 send:10 recv:1000 recv:3000000 send:3000000 fin eof
	wait_until 5 talk_stands || { cat "$LAB_DIR"/client.* "$LAB_DIR"/server.* >&2; in_ns client ss -tan >&2; false; }
}

talk_stands()
{
	in_ns client ss -Htn state established "dst $VIP" | seek .
}

talk_ends()
{
	[[ $(lab_wait client 20) = 0 ]] || { cat "$LAB_DIR/client.err" >&2; false; }
}

# Pings a hundred times a second from here on; then none may have been lost.
pings_begin() # COUNT
{
	PINGS=$1
	lab_spawn ping client ping -c "$1" -i 0.01 -w 20 10.0.0.41
}

pings_end()
{
	[[ $(lab_wait ping 20) = 0 ]]
	pings_answered "$LAB_DIR/ping.out" "$PINGS"
}

# What there is of it in the kernel: whether the ports are promiscuous, devices, and the filters of a port, which
# are three: of the wire, of IPv4 flows and of IPv6 flows; and as long as a process runs the guard, also without a fast path.
traces()
{
	ip -n tmb -d -j link show | jq -c '[.[] | select(.ifname | test("^(eth|tmb[oi])")) | .ifname[:4], .promiscuity]'
	in_ns tmb tc filter show dev eth0 ingress | grep -c 'direct-action' || true
}

@test "the wire and open flows go by the kernel, the rest by the process" {
	start
	# no socket hears all frames of the wire (protocol 3): those on the punt devices do, of theirs
	in_ns tmb cat /proc/net/packet >"$LAB_DIR/sockets"
	cat "$LAB_DIR/sockets"
	never awk -v eth0="$(ip -n tmb -j link show eth0 | jq '.[].ifindex')" -v eth1="$(ip -n tmb -j link show eth1 | jq '.[].ifindex')" \
		'$4 == "0003" && ($5 == 0 || $5 == eth0 || $5 == eth1) { found = 1 } END { exit !found }' "$LAB_DIR/sockets"
	in_ns client curl -sS -m 20 "http://$VIP/big" | cmp - "$LAB_DIR/www/big"
	in_ns client ping -q -c 5 -i 0.05 10.0.0.41
	tmbridge_stats >"$LAB_DIR/s"
	jq -c .fast_path,.reasons "$LAB_DIR/s"
	stats_add_up <"$LAB_DIR/s"
	jq -e '.fast_path | .active and .forwarded > 100 and .bridged >= 10 and .punted < 60' "$LAB_DIR/s"
	jq -e '.reasons.flow_hit > .fast_path.forwarded and .reasons.not_ours >= .fast_path.bridged' "$LAB_DIR/s"
	# what finds no place on its way to the process is missed
	jq -e 'all(.ports[]; .missed == 0)' "$LAB_DIR/s"
	punt=$(ip -n tmb -j link show | jq -r '.[].ifname | select(startswith("tmbo"))')
	ip -n tmb link set "$punt" down
	run in_ns client ping -q -c 3 -i 0.05 -W 0.1 "$VIP"
	[[ $(tmbridge_stats | jq .ports.outside.missed) -ge 3 ]]
	ip -n tmb link set "$punt" up
	in_ns client ping -q -c 1 -W 10 "$VIP"
	tmbridge_stop
}

# Has the kernel merge up to so many bytes at every interface of the lab ("BIG TCP"): ip has no word for IPv4's yet.
merge_up_to() # BYTES
{
	local ns

	for ns in client switch tmb segment fe1; do
		in_ns "$ns" python3 - "$1" <<-'EOF'
			import socket, struct, sys

			NEWLINK, REQUEST_ACK = 16, 5
			SIZES = 41, 58, 63, 64  # IFLA_GSO_MAX_SIZE, IFLA_GRO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE
			with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as link:
			    for index, name in socket.if_nameindex():
			        sizes = b"".join(struct.pack("=HHI", 8, size, int(sys.argv[1])) for size in SIZES)
			        body = struct.pack("=BxHiII", 0, 0, index, 0, 0) + sizes
			        link.send(struct.pack("=IHHII", 16 + len(body), NEWLINK, REQUEST_ACK, 0, 0) + body)
			        if name != "lo" and struct.unpack("=i", link.recv(4096)[16:20])[0] != 0:
			            sys.exit(f"{name}: not taken")
		EOF
	done
}

# A file comes whole from that address, by frames of more than 65,535 bytes.
comes_merged() # ADDRESS HOST-IN-URL
{
	lab_spawn long segment tcpdump -c 1 -i tmb "greater 66000 and host $1"
	wait_until 20 grep -q listening "$LAB_DIR/long.err"
	in_ns client curl -gsS -m 20 "http://$2/big" | cmp - "$LAB_DIR/www/big"
	[[ $(lab_wait long 5) = 0 ]]
}

# bats test_tags=plain
@test "frames merged of more than 65,535 bytes pass, of the wire and of an open flow, by IPv4 and IPv6" {
	merge_up_to 180000
	start
	comes_merged "$VIP" "$VIP"
	comes_merged 10.0.0.41 10.0.0.41
	tmbridge_stats | jq -e '.fast_path.punted < 60'
	tmbridge_stop
	VIP=$VIP6 start
	comes_merged "$VIP6" "[$VIP6]"
	comes_merged fd00::41 '[fd00::41]'
	tmbridge_stats | jq -e '.fast_path.punted < 60'
	tmbridge_stop
	merge_up_to 65536
}

# bats test_tags=plain
@test "kill -9: no frame of the wire is lost, an open flow goes on and ends" {
	for i in 1 2 3; do
		start 'bridge.on_exit = cut'
		talk_begin 1000
		pings_begin 100
		sleep "0.$((RANDOM % 8))"
		lab_kill tmbridge
		talk_ends
		pings_end
		lab_kill server
	done
}

# bats test_tags=plain
@test "SIGTERM with on_exit = keep: the same, and ARP is answered" {
	start 'bridge.on_exit = keep'
	talk_begin 800
	pings_begin 150
	tmbridge_stop
	in_ns client ip neigh flush dev eth0
	# its status says how many of its own requests were answered: others' answers are heard as well
	answers=$(in_ns client arping -c 2 -w 3 -I eth0 "$VIP" || true)
	grep -q "02:00:00:00:00:01" <<<"$answers"
	talk_ends
	pings_end
	# the next start takes over the wire without a gap
	pings_begin 100
	start 'bridge.on_exit = keep'
	pings_end
	[[ $(traces | tail -1) = 4 ]]
}

@test "on_exit = cut, and a release, leave nothing" {
	[[ $(traces) = $'["eth0",0,"eth1",0]\n0' ]]
	start 'bridge.on_exit = cut'
	[[ $(traces | tail -1) = 4 ]]
	run in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	[[ $status = 1 && $output = *"tmbridge"* ]] # one that runs
	[[ $(traces | tail -1) = 4 ]]
	tmbridge_stop
	[[ $(traces) = $'["eth0",0,"eth1",0]\n0' ]]
	start 'bridge.on_exit = keep'
	[[ $(in_ns tmb sysctl -n net.ipv4.conf.eth0.arp_ignore) = 8 ]]
	tmbridge_stop
	[[ $(in_ns tmb sysctl -n net.ipv4.conf.eth0.arp_ignore) = 8 ]]
	in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	[[ $(traces) = $'["eth0",0,"eth1",0]\n0' ]]
	[[ $(in_ns tmb sysctl -n net.ipv4.conf.eth0.arp_ignore) = 0 ]]
	run in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	[[ $status = 1 && $output = "tmbridge: eth0, eth1: nothing was left in the kernel" ]]
}

@test "a start without a fast path removes one that was left" {
	start 'bridge.on_exit = keep'
	tmbridge_stop
	[[ $(traces | tail -1) = 3 ]]
	FAST=off start
	[[ $(traces | tail -1) = 1 ]]
	in_ns client ping -c 3 -i 0.05 -w 10 10.0.0.41 >"$LAB_DIR/pings"
	pings_answered "$LAB_DIR/pings" 3
	tmbridge_stop
	[[ $(traces | tail -1) = 0 ]]
}

# As its BPF file system has gone, such as that of `ip netns exec` or a container.
@test "programs whose maps are no longer to be found are removed as well, by a start without a fast path and by a release" {
	start 'bridge.on_exit = keep'
	tmbridge_stop
	rm -r /sys/fs/bpf/tmbridge
	FAST=off start
	in_ns client ping -c 3 -i 0.05 -w 10 10.0.0.41 >"$LAB_DIR/pings"
	pings_answered "$LAB_DIR/pings" 3
	never grep DUP "$LAB_DIR/pings"
	tmbridge_stop
	start 'bridge.on_exit = keep'
	tmbridge_stop
	rm -r /sys/fs/bpf/tmbridge
	# what others have there stays
	in_ns tmb tc filter add dev eth0 ingress pref 1 protocol all bpf bytecode '1,6 0 0 0,'
	in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	[[ $(in_ns tmb tc filter show dev eth0 ingress | grep -c handle) = 1 && -z $(in_ns tmb tc filter show dev eth1 ingress) ]]
	in_ns tmb tc qdisc del dev eth0 clsact
	run in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	[[ $status = 1 && $output = "tmbridge: eth0, eth1: nothing was left in the kernel" ]]
}

# As if another version had left them: what is pinned by names that this one doesn't know.
leave_unreadable()
{
	start 'bridge.on_exit = keep'
	tmbridge_stop
	mv /sys/fs/bpf/tmbridge/eth0-eth1/conf /sys/fs/bpf/tmbridge/eth0-eth1/conf2
}

says_what_stays()
{
	local port

	for port in eth0 eth1; do
		[[ $1 = *"$port: how it was set before isn't known any more"*"ip link set $port promisc off; sysctl -w net.ipv4.conf.$port.arp_ignore=0 net.ipv6.conf.$port.disable_ipv6=0"* ]] || return 1
		ip -n tmb link set $port promisc off
		lab_sysctl tmb net.ipv4.conf.$port.arp_ignore=0
	done
}

@test "programs whose maps can't be read are removed with what is pinned of them, and what stays is said" {
	leave_unreadable
	run in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	echo "$output"
	[[ $status = 0 && -z $(ls /sys/fs/bpf/tmbridge) && -z $(in_ns tmb tc filter show dev eth0 ingress) ]]
	says_what_stays "$output"
	[[ $(traces) = $'["eth0",0,"eth1",0]\n0' ]]
}

@test "programs whose maps can't be read have the next process's in their places, and nothing that is pinned of them stays" {
	local pinned

	start 'bridge.on_exit = keep'
	pinned=$(ls /sys/fs/bpf/tmbridge/eth0-eth1)
	never grep 'how it was set' "$LAB_DIR/tmbridge.err"
	tmbridge_stop
	leave_unreadable
	start
	[[ $(ls /sys/fs/bpf/tmbridge/eth0-eth1) = "$pinned" ]]
	says_what_stays "$(<"$LAB_DIR/tmbridge.err")"
	in_ns client curl -sS -m 20 "http://$VIP/big" | cmp - "$LAB_DIR/www/big"
	tmbridge_stop
	[[ $(traces) = $'["eth0",0,"eth1",0]\n0' ]]
}

# While it ran, or when only the kernel had the wire any more.
@test "a host that has been told to route no more doesn't after a release either" {
	local later

	for later in false true; do
		lab_sysctl tmb net.ipv4.ip_forward=1
		start 'bridge.on_exit = keep'
		$later || lab_sysctl tmb net.ipv4.ip_forward=0
		tmbridge_stop
		lab_sysctl tmb net.ipv4.ip_forward=0
		in_ns tmb "$TMBRIDGE" wire release eth0 eth1
		[[ $(in_ns tmb sysctl -n net.ipv4.conf.eth{0,1}.forwarding | xargs) = '0 0' ]]
	done
	lab_sysctl tmb net.ipv4.ip_forward=1
	start 'bridge.on_exit = keep'
	tmbridge_stop
	in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	[[ $(in_ns tmb sysctl -n net.ipv4.conf.eth{0,1}.forwarding | xargs) = '1 1' ]]
	lab_sysctl tmb net.ipv4.ip_forward=0
}

# To off or auto, with what runs.
turn() # SETTING off|on WORKERS
{
	lab_ini 'ports = 80, 444, 5061' 'fe2.state = disabled' "bridge.workers = $3" "bridge.fast_path = $1"
	lab_signal tmbridge HUP
	wait_until 5 grep -q "fast path $2" "$LAB_DIR/tmbridge.err"
}

off_and_on() # WORKERS
{
	start "bridge.workers = $1"
	talk_begin 1500
	lab_spawn many client "$TOOLS/talks" connect "$VIP" 444 50 20000 5
	wait_until 10 grep -q open "$LAB_DIR/many.out"
	turn off off "$1"
	tmbridge_counts .fast_path.active false
	turn auto on "$1"
	talk_ends
	tmbridge_stats | jq -e '.fast_path.active and .fast_path.forwarded > 20'
	lab_signal many TERM || { cat "$LAB_DIR"/many.{out,err} "$LAB_DIR/tmbridge.err"; false; }
	[[ $(lab_wait many 10) = 0 ]] || { cat "$LAB_DIR"/many.{out,err} >&2; false; }
	tail -1 "$LAB_DIR/many.out" | jq -e '.lost == 0 and .rounds > 100'
	tmbridge_stop
	lab_kill server
}

@test "SIGHUP turns it off and on under load, with one worker and with three, and no flow is lost" {
	lab_spawn echoes fe1 "$TOOLS/talks" serve 444 # as on 80 is another server
	wait_until 20 server_listens fe1 444
	off_and_on 1
	off_and_on 3
	lab_kill echoes
}

without_bpf() # COMMAND...
{
	in_ns tmb setpriv --bounding-set -bpf,-sys_admin,-perfmon "$@"
}

@test "where the kernel won't have it: packet sockets, with a line in the log, or no start" {
	lab_ini 'ports = 5061' 'bridge.fast_path = kernel'
	run without_bpf timeout 60 "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini"
	echo "$output"
	[[ $status = 1 && ${lines[0]} = "tmbridge: the host's stack sees "*": Operation not permitted" ]]
	[[ ${lines[1]} = "tmbridge: fast path: "*": Operation not permitted" ]]
	lab_ini 'ports = 5061' 'bridge.fast_path = auto'
	rm -f "$LAB_DIR/stats.json"
	lab_spawn tmbridge tmb setpriv --bounding-set -bpf,-sys_admin,-perfmon \
		"$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 20 tmbridge_is_up
	[[ $(grep -c 'no fast path, but packet sockets: ' "$LAB_DIR/tmbridge.err") = 1 ]]
	tmbridge_counts .fast_path.active false
	tmbridge_stop
}
