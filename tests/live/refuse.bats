# What can't be served is refused at once, and counted under its reason.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_up
	server_tcp fe1 5061
	server_tcp fe2 5061
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
}

# CONNECTED of them come through, REFUSED are refused, none waits.
refused() # PORT CONNECTED REFUSED
{
	local result

	result=$(in_ns client "$TOOLS/manyconns" connect -n $(($2 + $3)) -j 1 -t 10 "$VIP" "$1")
	echo "$result"
	jq -e ".connected == $2 and .refused == $3 and .echoed == $2 and .seconds < 1.5" <<<"$result"
}

@test "a port that isn't served" {
	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	refused 9999 0 5
	refused 22 0 3
	tmbridge_counts .reasons.port_not_served 8
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "a full flow table" {
	needs_one_worker
	lab_ini 'ports = 5061' 'bridge.max_connections = 4'
	tmbridge_start "$LAB_DIR/lb.ini"
	refused 5061 4 3
	tmbridge_counts .reasons.table_full 3
	tmbridge_counts .flows.refused 3
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "SNAT ports exhausted" {
	needs_one_worker
	lab_ini 'ports = 5061' 'snat_ports = 2000-2003'
	tmbridge_start "$LAB_DIR/lb.ini"
	refused 5061 8 3
	tmbridge_counts .reasons.snat_exhausted 3
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "no server that may take it" {
	lab_ini 'ports = 5061' 'fe1.state = disabled' 'fe2.weight = 0'
	tmbridge_start "$LAB_DIR/lb.ini"
	refused 5061 0 3
	tmbridge_counts .reasons.no_server 3
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "a server that refuses" {
	lab_ini 'ports = 5062'
	tmbridge_start "$LAB_DIR/lb.ini"
	refused 5062 0 4
	tmbridge_stats | stats_add_up
	tmbridge_stop
}
