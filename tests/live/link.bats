# The two interfaces while it runs: cut, mended, taken away, made anew; link_mirror; and the host's silence.

source "$BATS_TEST_DIRNAME/../lab.sh"

# How often a port is promiscuous: for each worker's socket, or the interface for all.
is_promiscuous() # INTERFACE WORKERS
{
	[[ $(ip -n tmb -d -j link show "$1" | jq '.[0].promiscuity') = $([[ $FAST_PATH = off ]] && echo "$2" || echo 1) ]]
}

setup_file()
{
	lab_up
	server_http fe1 80
	server_http fe2 80
	lab_file big 64
}

setup()
{
	lab_ini 'ports = 80'
}

# All as lab_up() made it: two cables, no addresses.
teardown()
{
	local interface

	cat "$LAB_DIR/tmbridge.err"
	lab_kill tmbridge
	for interface in $(ip -n tmb -j link show | jq -r '.[].ifname | select(. != "lo")'); do
		ip -n tmb link del "$interface" 2>/dev/null || true # with the other end of its cable
	done
	ip -n tmb addr flush dev lo scope global
	lab_sysctl tmb net.ipv6.conf.{all,default}.disable_ipv6=1
	put_in eth0 02:00:00:00:00:01 switch
	put_in eth1 02:00:00:00:00:02 segment
}

# Fails unless it ends well, having counted well.
ends_well()
{
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

says() # SECONDS PATTERN
{
	wait_until "$1" grep -qE "$2" "$LAB_DIR/tmbridge.err"
}

says_times() # PATTERN TIMES
{
	[[ $(grep -cE "$1" "$LAB_DIR/tmbridge.err") = "$2" ]]
}

has_link() # INTERFACE
{
	tmbridge_stats | jq -e --arg name "$1" '.ports[] | select(.name == $name) | .link == "up"'
}

has_flag() # NAMESPACE INTERFACE FLAG
{
	ip -n "$1" -j link show "$2" | jq -e --arg flag "$3" '.[0].flags | index($flag)'
}

lacks_flag() # NAMESPACE INTERFACE FLAG
{
	ip -n "$1" -j link show "$2" | jq -e --arg flag "$3" '.[0].flags | index($flag) | not'
}

# What tmbridge's neighbours see: switch is that of eth0, segment that of eth1.
sees_link() # NAMESPACE
{
	wait_until 2 has_flag "$1" tmb LOWER_UP
}

sees_no_link() # NAMESPACE
{
	wait_until 2 lacks_flag "$1" tmb LOWER_UP
}

# The cable of one side is cut, as far from tmbridge as can be, or mended.
cut() # NAMESPACE
{
	ip -n "$1" link set tmb down
}

mend() # NAMESPACE
{
	ip -n "$1" link set tmb up
}

# The interface is taken out of the machine; and another one put in.
take_away() # INTERFACE
{
	ip -n tmb link del "$1"
}

put_in() # INTERFACE MAC NAMESPACE
{
	lab_cable tmb "$1" "$2" "$3" tmb
	ip -n "$3" link set tmb master br0
}

# Both the wire and the VIP.
traffic_flows()
{
	wait_until 3 in_ns dc ping -c 1 -W 1 10.0.0.41
	in_ns client curl -sf -m 20 "http://$VIP/name" | seek '^fe'
}

processor_ms() # that it has used, in its loop and in the kernel
{
	awk -v hz="$(getconf CLK_TCK)" '{ print int(($14 + $15) * 1000 / hz) }' "/proc/$(<"$LAB_DIR/tmbridge.pid")/stat"
}

# Waiting for a link takes no more of a processor than waiting for frames: not a fifth.
sleeps()
{
	local before

	before=$(processor_ms)
	sleep 1
	[[ $(($(processor_ms) - before)) -lt 200 ]]
}

settings() # what ought to be restored
{
	in_ns tmb sysctl net.ipv4.conf.eth{0,1} net.ipv6.conf.eth{0,1} 2>/dev/null |
		grep -vE 'stable_secret|mtu' || true
	ip -n tmb -j link show | jq -c '.[] | [.ifname, .flags]'
}

@test "link_mirror off: a cut is told and touches nothing else" {
	tmbridge_start "$LAB_DIR/lb.ini"
	cut switch
	says 2 '^tmbridge: eth0: link down: no carrier$'
	has_flag tmb eth1 UP
	sees_link segment
	tmbridge_stats | jq -e '.ports | .outside.link == "no_carrier" and .inside.link == "up" and
		.inside.mtu == 1500'
	mend switch
	says 2 '^tmbridge: eth0: link up, after [0-9.]+ s$'
	traffic_flows
	ip -n tmb link set eth1 down
	says 2 '^tmbridge: eth1: link down: it was set down$'
	sleeps
	has_flag tmb eth0 UP
	in_ns client timeout 0.3 ping -q -f -c 20 10.0.0.41 || true
	tmbridge_stats | jq -e '.ports.inside | .link == "down" and .send_failed > 0'
	ip -n tmb link set eth1 up
	traffic_flows
	ends_well
}

@test "link_mirror: either side's link follows the other's" {
	lab_ini bridge.link_mirror=yes 'ports = 80'
	tmbridge_start "$LAB_DIR/lb.ini"
	for sides in "switch segment eth1 inside" "segment switch eth0 outside"; do
		read -r here there interface side <<<"$sides"
		cut "$here"
		sees_no_link "$there"
		lacks_flag tmb "$interface" UP
		tmbridge_stats | jq -e ".ports.$side.link == \"held\""
		mend "$here"
		sees_link "$there"
		traffic_flows
		tmbridge_stats | jq -e '[.ports[].link] == ["up", "up"]'
	done
	says_times '^tmbridge: eth1: taken down, as eth0 has no carrier$' 1
	says_times '^tmbridge: eth1: set up again, as eth0 is back$' 1
	ends_well
}

@test "link_mirror: a port that is set down, or gone" {
	lab_ini bridge.link_mirror=yes 'ports = 80'
	tmbridge_start "$LAB_DIR/lb.ini"
	ip -n tmb link set eth1 down
	sees_no_link switch
	says_times '^tmbridge: eth0: taken down, as eth1 is down$' 1
	ip -n tmb link set eth1 up
	sees_link switch
	traffic_flows
	take_away eth1
	sees_no_link switch
	sleeps
	put_in eth1 02:00:00:00:00:02 segment
	sees_link switch
	traffic_flows
	ends_well
}

# bats test_tags=plain
@test "link_mirror: the other cable dies unseen, and both come back" {
	lab_ini bridge.link_mirror=yes 'ports = 80'
	tmbridge_start "$LAB_DIR/lb.ini"
	cut switch
	sees_no_link segment
	cut segment
	mend switch
	wait_until 1 has_flag tmb eth1 UP
	wait_until 12 lacks_flag tmb eth0 UP # eth1 is given time first
	sees_no_link switch
	mend segment
	sees_link switch
	sees_link segment
	traffic_flows
	ends_well
}

@test "link_mirror: a cut that somebody works against, and one that flaps" {
	lab_ini bridge.link_mirror=yes 'ports = 80'
	tmbridge_start "$LAB_DIR/lb.ini"
	cut switch
	sees_no_link segment
	ip -n tmb link set eth1 up
	says 2 'eth1: taken down again'
	sees_no_link segment
	for ((i = 0; i < 20; i++)); do
		mend switch
		cut switch
	done
	sees_no_link segment
	mend switch
	sees_link segment
	traffic_flows
	ends_well
}

@test "link_mirror: turned on and off by a reload" {
	tmbridge_start "$LAB_DIR/lb.ini"
	cut switch
	says 2 'no carrier'
	has_flag tmb eth1 UP
	lab_ini bridge.link_mirror=yes 'ports = 80'
	lab_signal tmbridge HUP
	sees_no_link segment
	lab_ini bridge.link_mirror=no 'ports = 80'
	lab_signal tmbridge HUP
	sees_link segment
	says 1 '^tmbridge: eth1: set up again, as link_mirror is off$'
	mend switch
	traffic_flows
	ends_well
}

@test "link_mirror: nothing stays down at the end, and what did is set up at the start" {
	lab_ini bridge.link_mirror=yes 'ports = 80'
	tmbridge_start "$LAB_DIR/lb.ini"
	cut switch
	sees_no_link segment
	tmbridge_stop
	has_flag tmb eth1 UP
	mend switch
	ip -n tmb link set eth1 down # as a SIGKILL would have left it
	tmbridge_start "$LAB_DIR/lb.ini"
	traffic_flows
	says_times '^tmbridge: eth1: is down: set up, for link_mirror$' 1
	ends_well
}

# The new one has another MAC address, so that its neighbours have to be told.
@test "an interface is taken away and put in again while a transfer waits" {
	tmbridge_start "$LAB_DIR/lb.ini"
	for sides in "eth0 02:00:00:00:01:01 switch" "eth1 02:00:00:00:01:02 segment"; do
		read -r interface mac neighbour <<<"$sides"
		transfer_begins client "http://$VIP/big"
		take_away "$interface"
		says 1 "^tmbridge: $interface: gone; waiting for it\$"
		tmbridge_stats | jq -e --arg name "$interface" \
			'.ports[] | select(.name == $name) | .link == "gone"'
		sleeps
		put_in "$interface" "$mac" "$neighbour"
		says 1 "^tmbridge: $interface: back after [1-9][0-9]*\.[0-9] s"
		traffic_flows
		transfer_ends "$LAB_DIR/www/big"
		is_promiscuous "$interface" "${WORKERS:-1}"
		tmbridge_stats | jq -e --arg name "$interface" \
			'.ports[] | select(.name == $name) | .link == "up" and .send_failed > 0'
	done
	in_ns client ip neigh show "$VIP" | grep 02:00:00:00:01:01
	ends_well
}

@test "several workers go over to the new one" {
	lab_ini bridge.workers=2 'ports = 80'
	tmbridge_start "$LAB_DIR/lb.ini"
	take_away eth0
	put_in eth0 02:00:00:00:00:03 switch
	says 1 'eth0: back after' # with the link, or with a line about that one later
	wait_until 1 has_link eth0
	is_promiscuous eth0 2
	for ((i = 0; i < 8; i++)); do
		traffic_flows
	done
	says_times 'eth0: (No|Invalid|sharing)' 0
	ends_well
}

@test "gone and back at once, under the same index, and moved to another namespace and back" {
	tmbridge_start "$LAB_DIR/lb.ini"
	index=$(ip -n tmb -j link show eth0 | jq '.[0].ifindex')
	lab_signal tmbridge STOP # else it may see that there is none
	printf '%s\n' "link del eth0" \
		"link add eth0 index $index address 02:00:00:00:00:01 type veth peer name tmb netns switch" \
		"link set eth0 up" | ip -n tmb -b -
	ip -n switch link set tmb up master br0
	lab_signal tmbridge CONT
	says 1 'eth0: back after 0\.0 s'
	traffic_flows
	ip -n tmb link set eth1 netns client
	says 1 'eth1: gone'
	ip -n client link set eth1 netns tmb
	says 1 'eth1: back after [0-9.]+ s, but it is down'
	ip -n tmb link set eth1 up
	traffic_flows
	ends_well
}

# Names of an interface beyond its first one (udev gives them); they go with it.
@test "ports by other names: one port twice is refused, and what was gone comes back" {
	local long=a-name-that-is-longer-than-any-first-one

	ip -n tmb link property add dev eth0 altname enp1s0
	ip -n tmb link property add dev eth1 altname $long
	run in_ns tmb timeout 60 "$TMBRIDGE" eth0 enp1s0 -f "$LAB_DIR/lb.ini"
	[[ $status = 1 && $output = "tmbridge: eth0, enp1s0: are one interface, by two of its names" ]]
	lab_spawn tmbridge tmb "$TMBRIDGE" enp1s0 $long -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 20 tmbridge_is_up
	traffic_flows
	take_away eth0
	says 1 '^tmbridge: enp1s0: gone; waiting for it$'
	ip -n tmb link property add dev eth1 altname enp1s0 # the other port isn't the one
	says 1 '^tmbridge: enp1s0: is back, but as another name of the other port'
	ip -n tmb link property del dev eth1 altname enp1s0
	put_in eth0 02:00:00:00:01:01 switch # not yet the one
	sleep 0.3
	says_times 'enp1s0: back' 0
	ip -n tmb link property add dev eth0 altname enp1s0
	says 1 '^tmbridge: enp1s0: back after'
	traffic_flows
	take_away eth1
	put_in eth1 02:00:00:00:01:02 segment
	ip -n tmb link property add dev eth1 altname $long
	says 1 "^tmbridge: $long: back after"
	traffic_flows
	ends_well
}

@test "a second one on either port is refused, with the first one's PID, until that is gone" {
	local pid ports

	tmbridge_start "$LAB_DIR/lb.ini"
	pid=$(awk '/^NSpid:/ { print $NF }' "/proc/$(<"$LAB_DIR/tmbridge.pid")/status")
	ip -n tmb link property add dev eth0 altname enp1s0
	lab_cable tmb eth2 02:00:00:00:00:03 segment second
	for ports in "eth0 eth1" "eth1 eth0" "enp1s0 eth2" "eth2 eth1"; do
		run in_ns tmb timeout 60 "$TMBRIDGE" $ports -f "$LAB_DIR/lb.ini"
		echo "$output"
		[[ $status = 1 && $output =~ ^tmbridge:\ [a-z0-9]+:\ another\ tmbridge\ is\ running\ there,\ process\ $pid$ ]]
	done
	# an interface that comes under the same name, or gets it, is the first one's as well, whatever else it is called
	take_away eth0
	says 1 'gone'
	put_in eth5 02:00:00:00:00:01 switch
	ip -n tmb link property add dev eth5 altname eth0
	says 1 'back'
	for ports in "eth0 eth2" "eth5 eth2"; do
		run in_ns tmb timeout 60 "$TMBRIDGE" $ports -f "$LAB_DIR/lb.ini"
		echo "$output"
		[[ $status = 1 && $output = *"process $pid" ]]
	done
	traffic_flows
	lab_kill tmbridge # SIGKILL leaves nothing behind
	tmbridge_start "$LAB_DIR/lb.ini"
	traffic_flows
	ends_well
}

# News that are lost because too many came.
@test "more news than there is room for" {
	ip -n tmb link add busy type bridge
	tmbridge_start "$LAB_DIR/lb.ini"
	lab_signal tmbridge STOP
	for ((i = 0; i < 1000; i++)); do
		echo "link set busy mtu $((2000 + i))"
	done | ip -n tmb -b -
	take_away eth0
	put_in eth0 02:00:00:00:00:03 switch
	lab_signal tmbridge CONT
	says 2 'eth0: back after'
	traffic_flows
	ends_well
}

@test "another name, another MAC address" {
	tmbridge_start "$LAB_DIR/lb.ini"
	ip -n tmb link set eth0 name wan0
	says 1 '^tmbridge: eth0: is called wan0 now, and stays in use$'
	traffic_flows
	in_ns client ping -c 1 -W 10 "$VIP"
	ip -n tmb link set wan0 address 02:00:00:00:01:99
	says 1 '^tmbridge: eth0: its MAC address is 02:00:00:00:01:99 now$'
	wait_until 1 eval "in_ns client ip neigh show $VIP | grep 02:00:00:00:01:99"
	traffic_flows
	ip -n tmb link add br9 type bridge
	ip -n tmb link set wan0 master br9
	says 1 '^tmbridge: eth0: belongs to another interface now, .*: ip link set wan0 nomaster$'
	ends_well
}

@test "the MTUs begin to differ, and cease to" {
	tmbridge_start "$LAB_DIR/lb.ini"
	ip -n tmb link set eth1 mtu 1400
	says 1 '^tmbridge: eth0, eth1: the MTUs differ, 1500 and 1400: .*1400.*eth1$'
	ip -n tmb link set eth1 down
	ip -n tmb link set eth1 up
	tmbridge_counts '[.ports[].mtu]' '[1500,1400]'
	ip -n tmb link set eth1 mtu 1500
	says 1 '^tmbridge: eth0, eth1: the MTUs are the same again, 1500$'
	says_times 'MTUs differ' 1
	traffic_flows
	ends_well
}

# The host has an address elsewhere, which ARP would answer for on any interface.
host_speaks_ipv6()
{
	lab_sysctl tmb net.ipv6.conf.{all,default,eth0,eth1}.disable_ipv6=0
	[[ $(in_ns tmb sysctl -n net.ipv6.conf.eth0.disable_ipv6) = 0 ]] || skip "a kernel without IPv6"
	ip -n tmb addr add 10.0.0.77/32 dev lo
}

listen()
{
	for side in switch segment; do
		lab_spawn "$side" "$side" tcpdump -i tmb -Q in -n -e -l -s 200
		wait_until 20 grep -q listening "$LAB_DIR/$side.err"
	done
}

# What the ports' own MAC addresses have said since listen().
heard()
{
	for side in switch segment; do
		lab_signal "$side" TERM
		lab_wait "$side" 5 >/dev/null
	done
	grep -hE ' (02:00:00:00:00:0[12]|[0-9a-f:]+:ff:00:00:0[12]) > ' "$LAB_DIR"/{switch,segment}.out || true
}

provoke()
{
	for interface in eth0 eth1; do
		ip -n tmb link set $interface down
		ip -n tmb link set $interface up
	done
	in_ns client arping -c 2 -w 1 -I eth0 10.0.0.77 || true
	in_ns fe1 arping -c 2 -w 1 -I eth0 10.0.0.77 || true
	sleep 3
}

@test "the host is silent on the wire while it runs, and all is as before afterwards" {
	host_speaks_ipv6
	listen
	provoke
	host=$(heard)
	for what in 'router solicitation' 'multicast listener' 'neighbor solicitation' 'Reply 10.0.0.77'; do
		grep -q "$what" <<<"$host" # it is heard when nobody keeps it from it
	done
	before=$(settings)
	tmbridge_start "$LAB_DIR/lb.ini"
	listen
	provoke
	host=$(heard | grep -vE "(Request who-has|Reply) $VIP" || true)
	echo "$host"
	[[ -z $host ]]
	tmbridge_stop TERM
	diff <(echo "$before") <(settings)
}

@test "also an interface that was put in anew, or has another name" {
	host_speaks_ipv6
	tmbridge_start "$LAB_DIR/lb.ini"
	take_away eth0
	put_in eth0 02:00:00:00:00:01 switch
	says 1 'eth0: back'
	[[ $(in_ns tmb sysctl -n net.ipv6.conf.eth0.disable_ipv6 net.ipv4.conf.eth0.arp_ignore | xargs) = '1 8' ]]
	ip -n tmb link set eth0 mtu 1200 # ends IPv6 there
	ip -n tmb link set eth0 mtu 1500
	wait_until 1 eval '[[ $(in_ns tmb sysctl -n net.ipv6.conf.eth0.disable_ipv6) = 1 ]]'
	ip -n tmb link set eth0 name wan0
	says 1 wan0
	tmbridge_stop INT
	[[ $(in_ns tmb sysctl -n net.ipv6.conf.wan0.disable_ipv6 net.ipv4.conf.wan0.arp_ignore | xargs) = '0 0' ]]
}

@test "where the host has an address of its own it goes on speaking, and that is said" {
	host_speaks_ipv6
	ip -n tmb addr add 10.0.0.5/24 dev eth0
	ip -n tmb addr add fd00::5/64 dev eth1 nodad
	tmbridge_start "$LAB_DIR/lb.ini"
	says_times '^tmbridge: eth0: the host has 10\.0\.0\.5 there: its ARP may speak on the wire$' 1
	says_times '^tmbridge: eth1: the host has fd00::5 there: its IPv6 may speak on the wire$' 1
	in_ns client ping -c 1 -W 10 10.0.0.5
	in_ns fe1 ping -c 1 -W 10 fd00::5
	[[ $(in_ns tmb sysctl -n net.ipv6.conf.eth{0,1}.disable_ipv6 | xargs) = '1 0' ]]
	[[ $(in_ns tmb sysctl -n net.ipv4.conf.eth{0,1}.arp_ignore | xargs) = '0 8' ]]
	ip -n tmb addr add 10.0.0.6/24 dev eth1
	says 1 '^tmbridge: eth1: the host has 10\.0\.0\.6 there: its ARP may speak on the wire$'
	wait_until 1 in_ns fe1 arping -c 1 -w 1 -I eth0 10.0.0.6
	ends_well
}

sysctls() # KEY...
{
	in_ns tmb sysctl -n "$@" | xargs
}

# As a container engine does it, at any time.
@test "the host doesn't route what arrives, whoever has it begin to, and does again afterwards" {
	host_speaks_ipv6
	lab_sysctl tmb net.ipv4.ip_forward=1
	tmbridge_start "$LAB_DIR/lb.ini"
	[[ $(sysctls net.ipv4.conf.eth{0,1}.forwarding net.ipv4.ip_forward) = '0 0 1' ]]
	lab_sysctl tmb net.ipv4.ip_forward=0
	lab_sysctl tmb net.ipv4.ip_forward=1
	says 2 '^tmbridge: eth0: net\.ipv4\.conf\.eth0\.forwarding was set to 1: it is 0 again, while tmbridge runs$'
	says 2 'eth1\.forwarding was set to 1'
	[[ $(sysctls net.ipv4.conf.eth{0,1}.forwarding) = '0 0' ]]
	traffic_flows
	lab_sysctl tmb net.ipv6.conf.eth1.disable_ipv6=0 net.ipv4.conf.eth1.arp_ignore=2
	says 8 'eth1\.disable_ipv6 was set to 0: it is 1 again' # of these the kernel brings no news
	says 2 'eth1\.arp_ignore was set to 2: it is 8 again'
	[[ $(sysctls net.ipv6.conf.eth1.disable_ipv6 net.ipv4.conf.eth1.arp_ignore) = '1 8' ]]
	says_times 'was set to' 4
	take_away eth0
	put_in eth0 02:00:00:00:00:01 switch # it forwards, as is the default now
	says 1 'eth0: back'
	[[ $(sysctls net.ipv4.conf.eth{0,1}.forwarding) = '0 0' ]]
	traffic_flows
	ends_well
	[[ $(sysctls net.ipv4.conf.eth{0,1}.forwarding net.ipv4.conf.eth1.arp_ignore) = '1 1 2' ]]
	[[ $(sysctls net.ipv6.conf.eth{0,1}.disable_ipv6) = '0 0' ]]
	lab_sysctl tmb net.ipv4.ip_forward=0
}

# Whether it routed before the start or began to later; and one port that did by itself.
@test "a host that has been told to route no more doesn't afterwards" {
	lab_sysctl tmb net.ipv4.ip_forward=1
	tmbridge_start "$LAB_DIR/lb.ini"
	lab_sysctl tmb net.ipv4.ip_forward=0
	ends_well
	[[ $(sysctls net.ipv4.conf.eth{0,1}.forwarding) = '0 0' ]]
	lab_sysctl tmb net.ipv4.conf.eth1.forwarding=1
	tmbridge_start "$LAB_DIR/lb.ini"
	lab_sysctl tmb net.ipv4.ip_forward=1
	says 2 'eth0\.forwarding was set to 1'
	lab_sysctl tmb net.ipv4.ip_forward=0 net.ipv4.conf.eth1.forwarding=1
	says 2 'eth1\.forwarding was set to 1'
	ends_well
	[[ $(sysctls net.ipv4.conf.eth{0,1}.forwarding) = '0 1' ]]
	lab_sysctl tmb net.ipv4.conf.eth1.forwarding=0
}

@test "a host that begins to route IPv6 where it has an address is warned of" {
	host_speaks_ipv6
	ip -n tmb addr add fd00::5/64 dev eth1 nodad
	tmbridge_start "$LAB_DIR/lb.ini"
	says_times 'routes IPv6' 0
	lab_sysctl tmb net.ipv6.conf.all.forwarding=1
	says 2 '^tmbridge: eth1: the host routes IPv6 and has an address there: .*: sysctl -w net.ipv6.conf.all.forwarding=0$'
	sleep 6
	says_times 'routes IPv6' 1
	lab_sysctl tmb net.ipv6.conf.all.forwarding=0
	ends_well
}
