# What the kernel has put off for a frame, and the header that goes with it can't say: merged frames in tunnels, other sums than
# TCP's and UDP's, lengths that only a bridge allows.

source "$BATS_TEST_DIRNAME/../lab.sh"

# Outside is a virtual machine: see tests/tools/merged.c.
setup_file()
{
	lab_up
	ip -n tmb link del eth0
	mkfifo "$LAB_DIR/frames"
	lab_spawn machine tmb bash -c "exec '$TOOLS/merged' eth0 <>'$LAB_DIR/frames'"
	wait_until 5 grep -q ready "$LAB_DIR/machine.out"
	server_tcp fe1 5061
	server_tcp fe2 5061
	lab_ini 'ports = 5061'
	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 10 grep -q 'balancing$' "$LAB_DIR/tmbridge.err"
}

teardown()
{
	lab_kill watch
}

teardown_file()
{
	tmbridge_stats | stats_add_up
	tmbridge_stop
	lab_kill_all
}

# Something has been captured, and nothing for a while.
has_settled()
{
	local before

	before=$(stat -c %s "$LAB_DIR/watch.pcap")
	sleep 0.1
	((before > 24)) && [[ $(stat -c %s "$LAB_DIR/watch.pcap") = "$before" ]]
}

# Has the machine send a frame, and captures what comes inside of it.
send() # HEADER... L4 PAYLOAD SEGMENT
{
	lab_spawn watch segment tcpdump -U --immediate-mode -B 65536 -s 2000 -i tmb -Q in -w "$LAB_DIR/watch.pcap" ether src 02:02:02:02:02:ab
	wait_until 20 grep -q listening "$LAB_DIR/watch.err"
	: >"$LAB_DIR/machine.out"
	echo "$@" >"$LAB_DIR/frames"
	wait_until 5 grep -q sent "$LAB_DIR/machine.out"
	wait_until 5 has_settled
	lab_signal watch TERM
	lab_wait watch 5 >/dev/null
}

# These fields of what came, those of several headers separated by commas.
came() # [-Y FILTER] FIELD...
{
	local fields=() arguments=()

	if [[ $1 = -Y ]]; then
		arguments=(-Y "$2")
		shift 2
	fi
	for field; do
		fields+=(-e "$field")
	done
	tshark -r "$LAB_DIR/watch.pcap" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE \
		"${arguments[@]}" -T fields "${fields[@]}" 2>/dev/null
}

# A merged TCP frame comes as segments, each whole and with right sums, numbered on, none longer than the MTU allows. CWR is with
# the first one only, PSH and FIN with the last.
comes_in_segments() # PAYLOAD SEGMENT HEADER...
{
	send "${@:3}" tcp "$1" "$2"
	came frame.len tcp.len tcp.seq_raw tcp.flags tcp.checksum.status ip.checksum.status udp.checksum.status ip.id _ws.malformed |
		tee "$LAB_DIR/segments"
	awk -F '\t' -v payload="$1" -v size="$2" -v segments=$((($1 + $2 - 1) / $2)) '
		function wrong(what) { print "segment " NR ": " what; bad = 1 }
		$1 > 1518 { wrong("too long") }
		NR < segments && $2 != size { wrong("its length") }
		NR > 1 && ($3 - before + 2 ^ 32) % 2 ^ 32 != size { wrong("its number") }
		$4 != (NR == 1 ? "0x0090" : NR == segments ? "0x0019" : "0x0010") { wrong("its flags") }
		$5 != 1 { wrong("its TCP sum") }
		$6 ~ /0/ { wrong("an IP sum") }
		$7 ~ /0/ { wrong("a UDP sum") }
		$8 != "" && $8 in ids { wrong("its ID, again") }
		$9 != "" { wrong("malformed") }
		{ before = $3; sum += $2; ids[$8] }
		END { if (NR != segments || sum != payload) wrong("of " segments ", " sum " bytes"); exit bad }' "$LAB_DIR/segments"
}

@test "TCP merged in IPIP, 6in4, 4in6 and 6in6" {
	comes_in_segments 50000 1400 ipv4 ipv4
	comes_in_segments 50000 1400 ipv4 ipv6
	comes_in_segments 50001 1300 ipv6 ipv4
	comes_in_segments 2801 1400 ipv6 ipv6
}

@test "TCP merged in GRE, with a key, with a sum, and bridged" {
	comes_in_segments 50000 1400 ipv4 gre ipv4
	comes_in_segments 50000 1300 ipv6 gre-key ipv6
	comes_in_segments 9001 1400 ipv4 gre-sum ipv4
	comes_in_segments 50000 1400 ipv4 gretap ipv4
	comes_in_segments 50000 1350 ipv4 gretap tag ipv6
}

@test "TCP merged in VXLAN, without and with a sum, on either IP" {
	comes_in_segments 50000 1400 ipv4 vxlan ipv4
	comes_in_segments 50000 1400 ipv4 vxlan-sum ipv4
	comes_in_segments 50000 1300 ipv6 vxlan-sum ipv6
	comes_in_segments 5000 1300 ipv6 vxlan ipv4
}

@test "TCP merged behind MPLS labels and PPPoE, two tunnels, in a VLAN" {
	comes_in_segments 50000 1400 mpls ipv4
	comes_in_segments 50000 1400 pppoe ipv4
	comes_in_segments 50000 1400 pppoe ipv6
	comes_in_segments 50000 1300 tag ipv4 gre ipv4 ipv6
	comes_in_segments 9000 1400 tag ipv4 vxlan tag ipv4
}

# Segments from the smallest to one that fills a frame.
@test "sizes: a segment that is all, one byte over, many small ones" {
	comes_in_segments 1401 700 ipv4 ipv4
	comes_in_segments 1400 700 ipv4 ipv4
	comes_in_segments 60000 8 ipv4 ipv4
	comes_in_segments 65000 1440 ipv4 ipv4
}

# Where there is no tunnel, what was merged stays merged: that is what makes bulk fast.
@test "TCP and UDP that aren't in a tunnel pass in one piece" {
	send ipv4 tcp 50000 1400
	[[ $(came ip.len) = 50040 ]]
	send tag ipv6 tcp 50000 1400
	[[ $(came tcp.len) = 50000 ]]
	send ipv4 udp 50000 1400
	[[ $(came udp.length | awk '{ n += $1 - 8 } END { print n }') = 50000 ]]
}

# tmbridge completes such sums, as a network card would look for them in the first IP header.
@test "sums that are put off within tunnels, and SCTP's" {
	for tunnel in "ipv4 ipv4" "ipv6 gre ipv4" "ipv4 vxlan ipv6" mpls\ ipv4; do
		send $tunnel tcp 1000 0
		[[ $(came tcp.checksum.status) = 1 ]]
		send $tunnel udp 1001 0
		came udp.checksum.status
		[[ $(came udp.checksum.status) = *1 ]]
	done
	for outside in ipv4 ipv6 "tag ipv4" "ipv4 ipv4"; do
		send $outside sctp 1000 0
		[[ $(tshark -r "$LAB_DIR/watch.pcap" -o "sctp.checksum:CRC 32c" -T fields -e sctp.checksum.status 2>/dev/null) = 1 ]]
	done
}
