# A flood of SYNs against a small table.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../failover.sh"

setup_file()
{
	lab_up
	servers_expect_floods
	lab_file large 64
	server_http fe1 80
	server_http fe2 80
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
}

@test "a transfer under way finishes intact, and honest connections succeed soon after" {
	lab_ini 'ports = 80' 'bridge.max_connections = 1000'
	tmbridge_start "$LAB_DIR/lb.ini"
	transfer_begins client "http://$VIP/large"
	in_ns dc "$TOOLS/synflood" eth0 02:00:00:00:00:01 "$VIP" 80 10 >"$LAB_DIR/sent"
	[[ ! -s $LAB_DIR/transfer.status ]] ||
		{ cat "$LAB_DIR"/transfer.{status,err} "$LAB_DIR/tmbridge.err" && ls -l "$LAB_DIR/reader.out" && false; }
	wait_until 15 in_ns client curl -sS --max-time 1 "http://$VIP/name"
	transfer_ends "$LAB_DIR/www/large"
	echo "$(<"$LAB_DIR/sent") SYNs"
	[[ $(<"$LAB_DIR/sent") -gt 100000 ]]
	tmbridge_stats | jq -e '.flows.evicted > 1000 and .flows.half_open <= .flows.half_open_capacity'
	books_balance
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "a table full of established connections refuses the newcomer, and keeps them" {
	needs_one_worker
	server_tcp fe1 5061
	server_tcp fe2 5061
	lab_ini 'ports = 5061' 'bridge.max_connections = 100'
	tmbridge_start "$LAB_DIR/lb.ini"
	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n 100 -j 20 -w "$VIP" 5061 3>&-; }
	read -r -t 60 -u "${HELD[0]}" line
	vip_connect -n 5 -t 10 | jq -e '.refused == 5'
	tmbridge_stats | jq -e '.reasons.table_full == 5'
	log_says 'farm pool: connections refused .*flow table is full'
	echo >&"${HELD[1]}"
	read -r -t 60 -u "${HELD[0]}" line
	jq -e '.echoed == 100' <<<"$line"
	eval "exec ${HELD[1]}>&-"
	tmbridge_stop
}
