# A bad network: of each side's packets 1 % are lost and 25 % overtake others.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_up offloads=off # with them, what is lost or late is 64 KiB at a time
	for ns in fe1 fe2; do
		server_tcp $ns 5061
		server_http $ns 80
	done
	lab_file big 4
	# Before tmbridge and behind it, on either side.
	for port in switch/tmb switch/client segment/tmb segment/fe1 segment/fe2; do
		in_ns "${port%/*}" tc qdisc add dev "${port#*/}" root netem limit 10000 delay 10ms loss 1% reorder 25% 50%
	done
}

setup()
{
	lab_ini 'ports = 80, 5061'
	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 20 grep -q 'balancing$' "$LAB_DIR/tmbridge.err"
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
}

# The network is as bad as it should be: netem counted what it dropped.
lost_some() # NAMESPACE INTERFACE
{
	in_ns "$1" tc -s -j qdisc show dev "$2" | jq -e '.[0].drops > 5'
}

@test "bulk is intact, both ways" {
	in_ns client curl -sS -m 200 "http://$VIP/big" | cmp - "$LAB_DIR/www/big"
	in_ns client curl -sS -m 200 -T "$LAB_DIR/www/big" "http://$VIP/up/big"
	cmp "$LAB_DIR/www/up/big" "$LAB_DIR/www/big"
	lost_some switch tmb
	lost_some segment tmb
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "connections are made, shared, answered and closed" {
	in_ns client "$TOOLS/manyconns" connect -n 200 -j 50 -t 60 "$VIP" 5061 |
		jq -e '.echoed == 200 and .lost == 0 and .servers == {"fe1": 100, "fe2": 100}'
	in_ns client "$TOOLS/manyconns" connect -n 200 -j 20 -t 60 -c "$VIP" 5061 | jq -e '.connected == 200'
	tmbridge_counts '.flows | [.created, .refused]' '[400,0]'
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "checks don't take a lost packet for a dead server" {
	lab_ini 'ports = 80, 5061' 'check = 5061' 'check_interval = 1s' 'check_timeout = 900ms' 'fall = 3'
	lab_signal tmbridge HUP
	wait_until 20 grep -q ' reloaded' "$LAB_DIR/tmbridge.err"
	wait_until 20 tmbridge_is_served 2
	sleep 20
	never grep -E 'server fe[12]: down' "$LAB_DIR/tmbridge.err"
	tmbridge_counts '[.farms[0].servers[] | .probes_ok > 15] | all' true
	tmbridge_stop
}
