# Limits for clients.

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

# Of a client's connections, one after the other, so many come through and so many are refused.
connects() # NAMESPACE CONNECTED REFUSED
{
	local result

	result=$(in_ns "$1" "$TOOLS/manyconns" connect -n $(($2 + $3)) -j 1 -t 10 "$VIP" 5061)
	echo "$1: $result"
	jq -e ".connected == $2 and .refused == $3 and .echoed == $2" <<<"$result"
}

@test "a flood from one address takes nothing from the others" {
	lab_ini 'ports = 5061' 'client_rate = 20' 'on_limit = drop' 'client_exempt = 10.0.0.100'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
	lab_spawn flood dc "$TOOLS/synflood" eth0 02:00:00:00:00:01 "$VIP" 5061 3 10.0.0.66
	wait_until 5 eval 'tmbridge_stats | jq -e ".limits.rate > 1000"'
	connects client 200 0
	[[ $(lab_wait flood 20) = 0 ]]
	tmbridge_stats | jq -e '.limits.rate > 20000 and .reasons.client_dropped == .limits.rate and
		.limits.blocks == 0 and .flows.half_open < 200 and
		.limits.in_kernel > .limits.rate / 2'
	grep -q 'client 10.0.0.66: it begins more than its client_rate' "$LAB_DIR/tmbridge.err"
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "who has too many is refused, and blocked; a list that has changed is read by a reload" {
	lab_ini 'ports = 5061' 'client_rate = 1' 'client_burst = 8' 'block_for = 1h' 'deny = @deny.txt'
	echo '# nobody yet' >"$LAB_DIR/deny.txt"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
	# 8 at once, and one more in each second that it takes
	in_ns client "$TOOLS/manyconns" connect -n 20 -j 1 -t 10 "$VIP" 5061 | tee "$LAB_DIR/said"
	jq -e '.connected >= 8 and .connected <= 8 + .seconds and .connected + .refused == 20 and .echoed == .connected' "$LAB_DIR/said"
	tmbridge_stats | jq -e '.limits.blocks == 1 and .reasons.client_rate >= 1 and .reasons.client_blocked >= 5'
	connects dc 5 0
	echo '10.0.0.10/32 ; as of now' >"$LAB_DIR/deny.txt"
	lab_signal tmbridge HUP
	wait_until 10 grep -q 'reloaded' "$LAB_DIR/tmbridge.err"
	grep -q 'deny: a file has another list' "$LAB_DIR/tmbridge.err"
	connects dc 0 3
	tmbridge_stats | jq -e '.limits.denied == 3 and .reasons.client_denied == 3'
	connects client 0 3
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "connections at a time" {
	lab_ini 'ports = 5061' 'client_connections = 10'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
	connects client 10 5
	connects dc 10 0
	connects client 10 1
	tmbridge_counts .reasons.client_connections 6
	tmbridge_stats | stats_add_up
	tmbridge_stop
}
