# All that isn't for the VIP: a piece of cable.

source "$BATS_TEST_DIRNAME/../lab.sh"

CAPTURES=${CAPTURES:-$LAB_ROOT/../shared/captures/malformed}

setup_file()
{
	lab_up mtu=9000
	server_tcp fe1 5061
	server_tcp fe2 5061
	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	lab_file random 1
}

setup()
{
	PAYLOADS=$(head -c 100000 "$LAB_DIR/www/random" | od -An -v -tx1 | tr -d ' \n')
}

teardown_file()
{
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

# The frames, as lines of hex digits on stdin, must cross in both directions.
wire_crosses() # COUNT
{
	local result

	cat >"$LAB_DIR/frames"
	result=$("$TOOLS/rawframe" switch/tmb segment/tmb <"$LAB_DIR/frames") || echo "inward failed"
	echo "inward: $result"
	jq -e ".sent == $1 and .arrived == $1" <<<"$result"
	result=$("$TOOLS/rawframe" segment/tmb switch/tmb <"$LAB_DIR/frames") || echo "outward failed"
	echo "outward: $result"
	jq -e ".sent == $1 and .arrived == $1" <<<"$result"
}

# A frame that has this before its payload, which differs in every frame and at every place of it.
frame() # HEAD BYTES
{
	echo "$1${PAYLOADS:0:$((2 * $2))}"
	PAYLOADS=${PAYLOADS:$((2 * $2 + 2))}
}

A=0202020202aa B=0202020202bb

@test "ping, IPv4 and IPv6, small and 8000 bytes, both ways" {
	for to in "client 10.0.0.41" "client fd00::42" "fe1 10.0.0.100" "fe2 fd00::10"; do
		for size in 56 1472 8000; do
			in_ns ${to% *} ping -q -c 3 -i 0.05 -W 10 -M do -s $size ${to#* }
		done
	done
	in_ns client ping -q -c 3 -i 0.05 -W 10 -s 30000 10.0.0.41
}

@test "TTL is not touched" {
	in_ns client ping -c 1 -t 1 10.0.0.41
}

arp_finds() # NAMESPACE ADDRESS MAC
{
	local answers

	answers=$(in_ns "$1" arping -c 2 -w 10 -I eth0 "$2")
	echo "$answers"
	[[ $(grep -c "$3" <<<"$answers") = 2 && $(grep -c "reply from" <<<"$answers") = 2 ]]
}

@test "ARP between hosts, unanswered by tmbridge" {
	in_ns client ip neigh flush dev eth0
	arp_finds client 10.0.0.41 02:00:00:00:00:41
	arp_finds fe1 10.0.0.10 02:00:00:00:00:10
	arp_finds fe1 10.0.0.42 02:00:00:00:00:42
}

@test "UDP" {
	local full

	lab_spawn iperf fe1 iperf3 -s -1 -J
	wait_until 20 server_listens fe1 5201
	in_ns client iperf3 -c 10.0.0.41 -u -b $((50 / LAB_PATIENCE))M -t 1 -J >"$LAB_DIR/udp.json"
	# none is lost, but what the receiver itself has counted as too much for its socket: that isn't the wire's
	full=$(in_ns fe1 nstat -asz UdpRcvbufErrors | awk '$1 == "UdpRcvbufErrors" { print $2 }')
	jq -e --argjson full "$full" '.end.sum | .packets > 100 and .lost_packets <= $full' "$LAB_DIR/udp.json"
}

@test "a server's own address, and servers among themselves, without NAT" {
	in_ns client "$TOOLS/manyconns" connect -g 10.0.0.41 5061 |
		grep -qE '^fe1 10\.0\.0\.100:[0-9]+ 10\.0\.0\.41:5061$'
	in_ns fe2 "$TOOLS/manyconns" connect -g 10.0.0.41 5061 |
		grep -qE '^fe1 10\.0\.0\.42:[0-9]+ 10\.0\.0\.41:5061$'
	in_ns client "$TOOLS/manyconns" connect -n 500 10.0.0.42 5061 | jq -e '.echoed == 500'
}

@test "odd EtherTypes and lengths, 802.3, runts" {
	needs_one_worker # of IP's some have addresses by chance, and several workers each keep the order of their own
	{
		for type in 88b5 88b6 0806 0800 86dd 8863 88cc 8847 0027 05dc ffff; do
			for bytes in 0 1 45 46 47 500 1500; do
				frame "$A$B$type" $bytes
			done
		done
	} | wire_crosses 77
}

@test "VLAN tags: 802.1Q, priority, QinQ, three deep" {
	{
		for tags in 81000007 8100e001 81000000 88a80005 88a80005810000ff 8100000681000007 \
			88a8000188a8000281000003 91000009 8100dfff; do
			for bytes in 46 700 1500; do
				frame "$A$B${tags}88b5" $bytes
			done
		done
	} | wire_crosses 27
}

@test "BPDU, LLDP, pause, LACP: even what bridges keep to themselves" {
	{
		for last in 00 01 02 03 0e 21; do
			frame "0180c20000$last${B}0026424203" 60
			frame "0180c20000$last${B}88cc" 60
		done
		frame "ffffffffffff${B}88b5" 60
		frame "01005e000001${B}88b5" 60
		frame "3333000000fb${B}88b5" 60
	} | wire_crosses 15
}

@test "jumbo frames" {
	{
		for bytes in 1501 4000 8999 9000; do
			frame "$A${B}88b5" $bytes
			frame "$A${B}8100000588b5" $bytes
		done
	} | wire_crosses 8
}

@test "ten thousand frames in order" {
	printf "$A${B}88b5%092x\n" {0..9999} | wire_crosses 10000
}

@test "real and damaged captures" {
	for way in "switch/tmb segment/tmb" "segment/tmb switch/tmb"; do
		result=$("$TOOLS/rawframe" $way "$CAPTURES"/*.pcap) || true
		echo "$way: $result"
		jq -e '.files > 300 and .sent > 3000 and .arrived == .sent' <<<"$result"
	done
}
