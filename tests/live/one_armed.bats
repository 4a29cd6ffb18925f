# Beside the others, mode = one-armed: the walkthrough's steps, one after the other, each with its check. The VIP is the
# host's own; the Front Ends are behind a router, as in the walkthrough, and then in the clients' subnet.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../topologies.sh"
source "$BATS_TEST_DIRNAME/../walkthrough.sh"

setup_file()
{
	one_armed_up far=on
	topology_services
}

setup()
{
	FAST_PATH=${TOPOLOGY_FAST_PATH:-off}
	MODE=one-armed INTERFACES=(eth0) NET4=10.0.1 NET6=fd01
	SNAT4=10.0.0.40 SNAT6=fd00::40 SNAT4_MORE=10.0.0.50
}

@test "before any VIP: Active Directory and each Front End are reached, and tmbridge takes one interface" {
	server_tcp dc 135
	reached_directly
	topology_ini one-armed
	run in_ns tmb "$TMBRIDGE" eth0 lo -f "$LAB_DIR/lb.ini"
	[[ $status = 2 && $output = *"mode = one-armed takes one interface"* ]]
	topology_ini routed
	run in_ns tmb "$TMBRIDGE" eth0 -f "$LAB_DIR/lb.ini"
	[[ $status = 2 && $output = *"mode = routed takes two interfaces"* ]]
}

@test "VIP: connections alternate, both addresses are rewritten, nothing reaches the host's stack; hairpin, and none in between" {
	topology_ini one-armed
	host_probe
	topology_start
	wait_until 10 tmbridge_is_served 4
	served_by_vips
	in_ns tmb "$TMBRIDGE" status >"$LAB_DIR/status"
	grep -q '^outside *eth0 *up' "$LAB_DIR/status"
	never grep -E '^inside|^!' "$LAB_DIR/status" # which there is none of, and nothing to warn of
	in_ns tmb "$TMBRIDGE" metrics >"$LAB_DIR/metrics"
	grep -qxF 'tmbridge_port_up{side="outside"} 1' "$LAB_DIR/metrics"
	never grep -F 'side="inside"' "$LAB_DIR/metrics"
	tmbridge_stats | jq -e '.ports | keys == ["outside"]'
	run in_ns tmb "$TMBRIDGE" wire bypass
	[[ $status = 6 && $output = *"mode = one-armed has no wire"* ]]
}

@test "capture --bundle: the replay knows the host's addresses and routes" {
	topology_replays 10.0.0.40 'tcp and (host 10.0.0.100 or (host 10.0.0.40 and not portrange 1008-1023))'
}

@test "what is no service is the host's: its own services, and its own connections to the same servers" {
	server_tcp_at tmb 22
	[[ $(connects client 10.0.0.40 22 1) = "tmb 10.0.0.100:"* ]]
	[[ $(connects tmb 10.0.1.42 5061 1) = "fe2 10.0.0.40:"* ]]
	in_ns client ping -c 1 -W 10 10.0.0.40
	filters_have_a_say
}

@test "ports that a reload leaves to the host are tmbridge's while connections have them" {
	needs_one_worker # several may end connections to a port that is taken away
	gives_ports_to_the_host 10.0.0.40
	gives_ports_to_the_host fd00::40
}

@test "bulk, both ways round" {
	lab_file big 8
	server_http_at fe1 8080 fe2 8080
	sed -i 's/^preset = .*/&\nports = 443, 444, 5060, 5061, 8080/' "$LAB_DIR/lb.ini"
	topology_reload
	in_ns client curl -sS -o "$LAB_DIR/got" http://10.0.0.40:8080/big
	cmp "$LAB_DIR/got" "$LAB_DIR/www/big"
	in_ns client curl -sS -T "$LAB_DIR/www/big" "http://[fd00::40]:8080/up/big"
	cmp "$LAB_DIR/www/up/big" "$LAB_DIR/www/big"
}

@test "a route that changes is followed" {
	ip -n router addr add 10.0.0.98/24 dev eth0
	ip -n tmb route replace default via 10.0.0.98
	wait_until 12 grep -q 'addresses or routes have changed' "$LAB_DIR/tmbridge.err"
	wait_until 2 grep -q 'lb.ini: follows them: no key has changed$' "$LAB_DIR/tmbridge.err"
	wait_until 10 tmbridge_is_served 4
	[[ $(connects client 10.0.0.40 5061 2 | wc -l) = 2 ]]
}

@test "a Front End that fails is told of, the other one goes on, and it comes back" {
	fails_and_returns
}

@test "further SNAT addresses; cut-over; drain; decommission; another mode needs a restart" {
	changes_by_reload
	[[ $(grep -c 'addresses or routes have changed' "$LAB_DIR/tmbridge.err") = 1 ]] # one route has, and has been followed
	tmbridge_stop
}

reason() # NAME
{
	tmbridge_stats | jq ".reasons.$1 // 0"
}

# UDP to the VIP in a VLAN is a host's of there, as VLANs are the host's; to us it would be dropped.
vlans_are_the_hosts()
{
	local mac before

	mac=$(in_ns tmb ip -j link show eth0 | jq -r '.[0].address')
	before=$(reason to_host)
	printf '%s020000000099810000050800%s%s%036d\n' "${mac//:/}" 4500001c0000000040110000 0a0000640a0000310400000900080000 0 |
		"$TOOLS/rawframe" -n 50 client/eth0
	wait_until 5 eval '[[ $(reason to_host) -ge '"$((before + 50))"' ]]'
	[[ $(reason protocol_not_served) = 0 ]]
}

@test "all in one subnet, two workers, SNAT and VIP not the host's" {
	topology_down
	one_armed_up
	topology_services
	FAST_PATH=kernel
	topology_ini one-armed 'workers = 2'
	sed -i 's/^vip = 10.0.0.40/vip = 10.0.0.49/; s/^vip = fd00::40/vip = fd00::49/' "$LAB_DIR/lb.ini"
	topology_start
	wait_until 10 tmbridge_is_served 4
	[[ $(connects client 10.0.0.49 5061 6 | cut -d: -f1 | sort -u | paste -sd,) = "fe1 10.0.0.49,fe2 10.0.0.49" ]]
	[[ $(connects client fd00::49 5061 6 | wc -l) = 6 ]]
	[[ $(connects fe1 10.0.0.49 5061 6 | cut -d: -f1 | sort -u | paste -sd,) = "fe1 10.0.0.49,fe2 10.0.0.49" ]]
	# two segments each way once open, in the kernel
	tmbridge_stats | jq -e '.fast_path | .active and .forwarded > 0'
	vlans_are_the_hosts
	in_ns client ping -c 1 -W 10 10.0.0.49
	in_ns client ping -c 1 -W 10 fd00::49
	tmbridge_stats | stats_add_up
	lab_kill tmbridge # who asks for our addresses is told by the kernel
	ip -n client neigh flush all
	in_ns client arping -q -c 1 -w 2 -I eth0 10.0.0.49
	run in_ns client ping -c 1 -W 1 fd00::49
	ip -n client neigh show fd00::49 | seek 'lladdr 02:00:00:00:00:01'
	never in_ns tmb "$TMBRIDGE" wire release eth0 eth9
	[[ -n $(in_ns tmb tc filter show dev eth0 ingress) && -e /sys/fs/bpf/tmbridge/eth0 ]]
	in_ns tmb "$TMBRIDGE" wire release eth0
	[[ -z $(in_ns tmb tc filter show dev eth0 ingress) ]]
}
