# Active-backup bonds: a client's, a server's, and tmbridge's own ports. What is open outlives a failover, and
# what is new works after it.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup()
{
	lab_up
	server_tcp fe1 5061
	server_tcp fe2 5061
	lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 1s' 'check_timeout = 1s'
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
	lab_down
}

# INTERFACE becomes a bond, by the same name and with the same addresses, of what it was, now called
# INTERFACE-a, and of a second cable to the same bridge, INTERFACE-b. It stays up meanwhile only as a bond can.
bond() # NAMESPACE INTERFACE BRIDGE PORT [OPTION...]
{
	local ns=$1 name=$2 addresses

	addresses=$(ip -n "$ns" -j addr show dev "$name" | jq -r '.[0].addr_info[] | select(.scope == "global") |
		"addr add \(.local)/\(.prefixlen) dev '"$name"'" + if .family == "inet6" then " nodad" else "" end')
	ip -n "$ns" link set "$name" down
	ip -n "$ns" addr flush dev "$name"
	ip -n "$ns" link set "$name" name "$name-a"
	ip -n "$ns" link add "$name-b" mtu "$LAB_MTU" type veth peer name "$4-b" mtu "$LAB_MTU" netns "$3"
	ip -n "$3" link set "$4-b" master br0 up
	ip -n "$ns" link add "$name" type bond mode active-backup miimon 50 "${@:5}"
	ip -n "$ns" link set "$name-a" master "$name"
	ip -n "$ns" link set "$name-b" master "$name"
	ip -n "$ns" link set "$name" up
	ip -n "$ns" -b - <<<"$addresses"
	wait_until 10 active_is "$ns" "$name" "$name-a"
}

active_is() # NAMESPACE BOND INTERFACE
{
	[[ $(in_ns "$1" cat "/sys/class/net/$2/bonding/active_slave" 2>/dev/null) = "$3" ]] ||
		ip -n "$1" -d -j link show dev "$2" | jq -e --arg is "$3" '.[0].linkinfo.info_data.active_slave == $is'
}

# Connections that are held and used again: see manyconns.c.
hold()
{
	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n 8 -t 20 -w "$VIP" 5061 3>&-; }
	read -r -t 30 line <&"${HELD[0]}"
	jq -e '.connected == 8' <<<"$line"
	held_answer
}

held_answer()
{
	echo >&"${HELD[1]}"
	read -r -t 30 line <&"${HELD[0]}"
	echo "$line"
	jq -e '.echoed == 8 and .lost == 0' <<<"$line"
}

# The cable of the active one is pulled at the other end, and later plugged in again.
fail_over() # NAMESPACE BOND BRIDGE PORT
{
	local before

	before=$(tmbridge_stats | jq .flows.created)
	ip -n "$3" link set "$4" down
	wait_until 10 active_is "$1" "$2" "$2-b"
	held_answer
	in_ns client "$TOOLS/manyconns" connect -n 20 -t 20 "$VIP" 5061 | jq -e '.echoed == 20'
	in_ns dc ping -q -c 3 -i 0.2 -W 5 10.0.0.41
	ip -n "$3" link set "$4" up
	ip -n "$3" link set "$4-b" down
	wait_until 10 active_is "$1" "$2" "$2-a"
	held_answer
	in_ns client "$TOOLS/manyconns" connect -n 20 -t 20 "$VIP" 5061 | jq -e '.echoed == 20'
	tmbridge_counts '.flows.created' $((before + 40))
	never grep -E 'server fe[12]: down' "$LAB_DIR/tmbridge.err"
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

start()
{
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 20 tmbridge_is_served 2
	hold
}

# bats test_tags=short
@test "a client's bond, one MAC address" {
	bond client eth0 switch client
	start
	fail_over client eth0 switch client
}

@test "a client's bond, each interface with its MAC address" {
	bond client eth0 switch client fail_over_mac active
	start
	fail_over client eth0 switch client
}

@test "a server's bond, one MAC address" {
	bond fe1 eth0 segment fe1
	start
	fail_over fe1 eth0 segment fe1
}

@test "a server's bond, each interface with its MAC address" {
	bond fe1 eth0 segment fe1 fail_over_mac active
	start
	fail_over fe1 eth0 segment fe1
}

@test "tmbridge's outside port is a bond" {
	bond tmb eth0 switch tmb
	start
	fail_over tmb eth0 switch tmb
}

# bats test_tags=short
@test "tmbridge's inside port is a bond" {
	bond tmb eth1 segment tmb
	start
	fail_over tmb eth1 segment tmb
}
