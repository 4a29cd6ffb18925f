# Paths with a hop of 1280 bytes. With DF set, path-MTU discovery works through the VIP, as the ICMP errors
# of the routers are translated for the end that has to hear them; without that the transfers hang.
# Without DF, the fragments that the routers make find their way.
#
#	client's side: far ─ 1500 ─ mid ─ 1280 ─ edge ─ 1500 ─ switch
#	server's side: far ─ 1500 ─ mid ─ 1280 ─ edge ─ 1500 ─ segment, edge being far's proxy for ARP and ND

source "$BATS_TEST_DIRNAME/../lab.sh"

# A window of a thousand small segments or fragments would not fit what the kernel queues of received frames.
SMALL_WINDOW=("net.ipv4.tcp_rmem=4096 131072 400000")

setup_file()
{
	lab_up
	lab_sysctl client "${SMALL_WINDOW[@]}"
	lab_sysctl fe1 "${SMALL_WINDOW[@]}"
	lab_file big 8
	server_http fe1 80
}

# Each test finds hosts that know nothing of a path's MTU: what an earlier one taught them would make the
# hop, or the fragments, needless.
setup()
{
	local ns

	for ns in client fe1; do
		ip -n $ns route flush cache
		ip -n $ns -6 route flush cache
		ip -n $ns tcp_metrics flush 2>/dev/null || true
	done
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
	[[ ! -e $LAB_DIR/far-http.pid ]] || lab_kill far-http
	for ns in far mid edge; do
		ip netns del $ns 2>/dev/null || true
	done
}

is_gone() # NAMESPACE INTERFACE
{
	[[ -z $(ip -n "$1" link show "$2" 2>/dev/null) ]]
}

# The chain of routers, attached to a bridge as 10.0.0.3.
narrow_up() # BRIDGE
{
	local ns

	wait_until 5 is_gone "$1" edge # the chain before goes with its namespaces, when the kernel has the time
	for ns in far mid edge; do
		lab_ns $ns on
		lab_sysctl $ns net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.tcp_mtu_probing=0 \
			net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 "${SMALL_WINDOW[@]}"
	done
	LAB_MTU=1500 lab_cable edge eth0 02:00:00:00:00:03 "$1" edge
	ip -n "$1" link set edge master br0
	ip -n edge addr add 10.0.0.3/24 dev eth0
	ip -n edge addr add fd00::3/64 dev eth0 nodad
	LAB_MTU=1280 lab_cable edge eth1 02:00:00:00:01:01 mid eth0
	LAB_MTU=1500 lab_cable mid eth1 02:00:00:00:02:01 far eth0
	ip -n edge addr add 10.9.1.1/24 dev eth1
	ip -n mid addr add 10.9.1.2/24 dev eth0
	ip -n edge addr add fd09:1::1/64 dev eth1 nodad
	ip -n mid addr add fd09:1::2/64 dev eth0 nodad
	ip -n mid route add default via 10.9.1.1
	ip -n mid route add default via fd09:1::1
}

# A client beyond.
far_client()
{
	narrow_up switch
	ip -n mid addr add 10.9.2.1/24 dev eth1
	ip -n far addr add 10.9.2.2/24 dev eth0
	ip -n mid addr add fd09:2::1/64 dev eth1 nodad
	ip -n far addr add fd09:2::2/64 dev eth0 nodad
	ip -n far route add default via 10.9.2.1
	ip -n far route add default via fd09:2::1
	ip -n edge route add 10.9.2.0/24 via 10.9.1.2
	ip -n edge route add fd09:2::/64 via fd09:1::2
}

# A server beyond, with an address of the segment.
far_server() # [SYSCTL=VALUE]
{
	narrow_up segment
	[[ $# = 0 ]] || lab_sysctl far "$@"
	lab_sysctl edge net.ipv4.conf.eth0.proxy_arp=1 net.ipv6.conf.eth0.proxy_ndp=1
	ip -n edge neigh add proxy fd00::43 dev eth0
	ip -n far addr add 10.0.0.43/32 dev eth0
	ip -n far addr add fd00::43/128 dev eth0 nodad
	ip -n mid addr add 10.9.2.1/24 dev eth1
	ip -n mid addr add fd09:2::1/64 dev eth1 nodad
	ip -n far route add default via 10.9.2.1 onlink dev eth0
	ip -n far route add default via fd09:2::1 onlink dev eth0
	ip -n mid route add 10.0.0.43/32 dev eth1
	ip -n mid route add fd00::43/128 dev eth1
	ip -n edge route add 10.0.0.43/32 via 10.9.1.2
	ip -n edge route add fd00::43/128 via fd09:1::2
	server_http far 80
}

# A farm of one server, of the family of its address.
balance_to() # SERVER-ADDRESS [SETTING...]
{
	[[ $1 != *:* ]] || VIP=$VIP6
	lab_ini 'ports = 80' "${@:2}"
	sed -i "/^\[server fe2/,\$d; s/^address = .*/address = $1/" "$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	URL=http://$VIP
	[[ $VIP != *:* ]] || URL="http://[$VIP]"
}

down() # CLIENT
{
	in_ns "$1" curl -gsS -m 20 "$URL/big" | cmp - "$LAB_DIR/www/big"
}

up() # CLIENT
{
	rm -f "$LAB_DIR/www/up/big"
	in_ns "$1" curl -gsS -m 20 -T "$LAB_DIR/www/big" "$URL/up/big"
	cmp "$LAB_DIR/www/big" "$LAB_DIR/www/up/big"
}

# 8 MiB each way, first that towards the hop: what is learned by the other one makes it needless. The
# routers' errors must have been needed, and each have been for a flow.
transfers() # CLIENT FIRST SECOND
{
	"$2" "$1"
	"$3" "$1"
	tmbridge_stats | tee "$LAB_DIR/last" | stats_add_up
	jq -c .reasons "$LAB_DIR/last"
	jq -e '.reasons | .icmp_error >= 1 and (.icmp_no_flow // 0) + (.icmp_other // 0) == 0' "$LAB_DIR/last"
}

# Both sides' frames with ICMP errors: none has a wrong checksum, and each quotes what its reader knows.
watch_errors()
{
	local side

	for side in switch segment; do
		lab_spawn "watch-$side" "$side" tcpdump -U --immediate-mode -i tmb -w "$LAB_DIR/$side.pcap" \
			'icmp[0] = 3 or icmp6[0] = 2'
		wait_until 20 grep -q listening "$LAB_DIR/watch-$side.err"
	done
}

check_errors() # SIDE QUOTED-SOURCE
{
	lab_signal watch-switch TERM
	lab_signal watch-segment TERM
	lab_wait watch-switch 5 && lab_wait watch-segment 5
	tshark -r "$LAB_DIR/$1.pcap" -o ip.check_checksum:TRUE -T fields -e icmp.checksum.status \
		-e icmpv6.checksum.status -e ip.checksum.status -e ip.src -e ipv6.src 2>/dev/null |
		tee "$LAB_DIR/verdicts"
	[[ -s $LAB_DIR/verdicts ]]
	awk -F '\t' -v quoted="$2" '{ if ($1 $2 != 1 || $3 ~ /0/ || index($4 $5, quoted) == 0) exit 1 }' "$LAB_DIR/verdicts"
}

@test "client beyond the hop, IPv4" {
	far_client
	balance_to 10.0.0.41
	watch_errors
	transfers far down up
	check_errors segment 10.0.0.41
}

@test "client beyond the hop, IPv6" {
	far_client
	balance_to fd00::41
	watch_errors
	transfers far down up
	check_errors segment fd00::41
}

@test "server beyond the hop, IPv4" {
	far_server
	balance_to 10.0.0.43
	watch_errors
	transfers client up down
	check_errors switch 10.0.0.100
}

@test "server beyond the hop, IPv6" {
	far_server
	balance_to fd00::43
	watch_errors
	transfers client up down
	check_errors switch fd00::100
}

# Nothing but fragments can have come, so many of each packet.
check_fragments()
{
	tmbridge_stats | tee "$LAB_DIR/last" | stats_add_up
	jq -c .reasons "$LAB_DIR/last"
	jq -e '.reasons | .fragment > 1000 and (.icmp_error // 0) == 0 and (.fragment_overlap // 0) == 0 and
		(.fragment_tiny // 0) == 0 and (.fragment_no_room // 0) == 0' "$LAB_DIR/last"
}

@test "client beyond the hop, without DF" {
	far_client
	lab_sysctl far net.ipv4.ip_no_pmtu_disc=1
	balance_to 10.0.0.41
	up far
	check_fragments
	tmbridge_stop
}

@test "server beyond the hop, without DF" {
	far_server net.ipv4.ip_no_pmtu_disc=1
	balance_to 10.0.0.43
	down client
	check_fragments
	tmbridge_stop
}

# Which of the workers an error reaches, is for its quotation to say.
@test "client beyond the hop, three workers" {
	far_client
	balance_to fd00::41 'bridge.workers = 3'
	transfers far down up
	jq -e '.workers.handed_over == 0' "$LAB_DIR/last"
	tmbridge_stop
	VIP=10.0.0.40
	balance_to 10.0.0.41 'bridge.workers = 3'
	transfers far down up
	jq -e '.workers.handed_over == 0' "$LAB_DIR/last"
	tmbridge_stop
}

# Fragments come to one worker by their addresses, and go on to that of the connection: to one of three
# by chance, so that of twenty connections not all live where their fragments come.
@test "client beyond the hop, without DF, three workers" {
	far_client
	lab_sysctl far net.ipv4.ip_no_pmtu_disc=1
	balance_to 10.0.0.41 'bridge.workers = 3'
	head -c 200000 "$LAB_DIR/www/big" >"$LAB_DIR/www/some"
	for i in $(seq 20); do
		in_ns far curl -gsS -m 20 -T "$LAB_DIR/www/some" "$URL/up/some"
		cmp "$LAB_DIR/www/some" "$LAB_DIR/www/up/some"
	done
	# another connection's packet may have the same ID within seconds, and so be taken for an overlap
	tmbridge_stats | tee "$LAB_DIR/last" | stats_add_up
	jq -e '.reasons.fragment > 1000 and .workers.handed_over > 500' "$LAB_DIR/last"
	tmbridge_stop
}
