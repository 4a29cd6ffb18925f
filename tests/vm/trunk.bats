# Trunks with the kernel's own 802.1Q and 802.1ad devices at both ends. (tests/live/vlan.bats has tags put on
# by a program, for kernels without them.)

source "$BATS_TEST_DIRNAME/../lab.sh"

setup()
{
	lab_up
	lab_file big 4
}

teardown()
{
	lab_down
}

# A host's addresses move from its interface to devices on it, the outer one first. Ethernet has room for one
# tag beside the MTU's bytes, and a second one takes of these.
trunk() # NAMESPACE PROTOCOL:ID [PROTOCOL:ID]
{
	local ns=$1 on=eth0 vlan address number

	address=$(ip -n "$ns" -4 -br addr show dev eth0 | awk '{ print $3 }')
	number=${address%/*}
	number=${number##*.}
	ip -n "$ns" addr flush dev eth0
	for vlan in "${@:2}"; do
		ip -n "$ns" link add link "$on" name "$on.${vlan#*:}" up type vlan proto "${vlan%:*}" id "${vlan#*:}"
		on=$on.${vlan#*:}
	done
	ip -n "$ns" link set "$on" mtu $((LAB_MTU - 4 * ($# - 2)))
	ip -n "$ns" addr add "$address" dev "$on"
	ip -n "$ns" addr add "fd00::$number/64" dev "$on" nodad
}

serve() # SETTING...
{
	for ns in fe1 fe2; do
		server_tcp $ns 5061
		server_http $ns 80
	done
	lab_ini 'ports = 80, 5061' "$@"
	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 20 grep -q 'balancing$' "$LAB_DIR/tmbridge.err"
}

watch() # SIDE
{
	lab_spawn "watch-$1" "$1" tcpdump -U --immediate-mode -Q in -i tmb -s 100 -w "$LAB_DIR/$1.pcap"
	wait_until 10 grep -q listening "$LAB_DIR/watch-$1.err"
}

# All TCP that tmbridge sent on the side had these tags and no others, as tcpdump names them.
tags_are() # SIDE PATTERN
{
	lab_signal "watch-$1" TERM
	lab_wait "watch-$1" 10 >/dev/null
	tcpdump -r "$LAB_DIR/$1.pcap" -enn 2>/dev/null | grep 'Flags \[' >"$LAB_DIR/$1.text"
	[[ $(wc -l <"$LAB_DIR/$1.text") -gt 50 ]]
	! grep -vE "$2" "$LAB_DIR/$1.text" | sed -n 1,3p | grep . >&2 || lab_die "on $1 not all have the tags $2"
}

transfers() # NAMESPACE
{
	local url=http://$VIP

	[[ $VIP != *:* ]] || url=http://[$VIP]
	in_ns "$1" ping -q -c 2 -W 5 "$VIP"
	in_ns "$1" "$TOOLS/manyconns" connect -n 20 "$VIP" 5061 | jq -e '.echoed == 20 and .servers == {"fe1": 10, "fe2": 10}'
	in_ns "$1" curl -gsS -m 100 "$url/big" | cmp - "$LAB_DIR/www/big"
	in_ns "$1" curl -gsS -m 100 -T "$LAB_DIR/www/big" "$url/up/big"
	cmp "$LAB_DIR/www/up/big" "$LAB_DIR/www/big"
	tmbridge_stats | stats_add_up
}

# Either end in VLAN 20.
trunked()
{
	for ns in client fe1 fe2; do
		trunk $ns 802.1Q:20
	done
}

# bats test_tags=short
@test "both ends in VLAN 20, checked, and the hairpin" {
	trunked
	serve 'vlan = 20' 'check = 5061'
	wait_until 20 tmbridge_is_served 2
	watch switch
	watch segment
	transfers client
	tags_are switch 'ethertype 802.1Q \(0x8100\), length [0-9]+: vlan 20, p [0-9], ethertype IPv4'
	tags_are segment 'ethertype 802.1Q \(0x8100\), length [0-9]+: vlan 20, p [0-9], ethertype IPv4'
	transfers fe1
	tmbridge_stop
}

@test "tags that the interfaces put into the frames themselves" {
	trunked
	for ns in client fe1 fe2; do
		in_ns $ns ethtool -K eth0 txvlan off rxvlan off
	done
	for side in eth0 eth1; do
		in_ns tmb ethtool -K $side txvlan off rxvlan off
	done
	serve 'vlan = 20' 'check = 5061'
	wait_until 20 tmbridge_is_served 2
	transfers client
	tmbridge_stop
}

@test "IPv6 in VLAN 20" {
	VIP=$VIP6
	trunked
	serve 'vlan = 20' 'check = 5061'
	wait_until 20 tmbridge_is_served 2
	watch segment
	transfers client
	tags_are segment 'vlan 20, p [0-9], ethertype IPv6'
	tmbridge_stop
}

@test "client in a VLAN within a service provider's, servers without a tag" {
	trunk client 802.1ad:100 802.1Q:10
	serve
	watch switch
	watch segment
	transfers client
	tags_are switch 'ethertype 802.1Q-QinQ \(0x88a8\), length [0-9]+: vlan 100, p [0-9], ethertype 802.1Q.*vlan 10, p [0-9], ethertype IPv4'
	tags_are segment '> [0-9a-f:]+, ethertype IPv4'
	tmbridge_stop
}

@test "in another VLAN the VIP is somebody else's, and all VLANs cross" {
	trunked
	serve 'vlan = 20'
	for ns in client fe1; do
		ip -n $ns link add link eth0 name eth0.30 up type vlan id 30
	done
	ip -n client addr add 10.0.0.130/24 dev eth0.30
	ip -n fe1 addr add "$VIP/32" dev eth0.30
	ip -n fe1 route add 10.0.0.130 dev eth0.30 src "$VIP"
	in_ns client ping -q -c 2 -W 5 -I eth0.30 "$VIP"
	in_ns client arping -c 1 -w 5 -I eth0.30 "$VIP" | seek 02:00:00:00:00:41
	in_ns client arping -c 1 -w 5 -I eth0.20 "$VIP" | seek 02:00:00:00:00:01
	tmbridge_stop
}
