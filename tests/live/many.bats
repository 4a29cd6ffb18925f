# More connections than an address has ports, over one SNAT address.

source "$BATS_TEST_DIRNAME/../lab.sh"

CLIENTS=5 ADDRESSES=13

# All by one SNAT address, of which there are more than it has ports. For a sanitized process, which takes ten times as long for each, it has less.
EACH=14000 SETTINGS=()
! lab_is_slow || EACH=1000 SETTINGS=('snat_ports = 2000-5999')
ALL=$((CLIENTS * EACH))

setup_file()
{
	lab_up addresses=$((CLIENTS * ADDRESSES))
	server_tcp fe1 5061
	server_tcp fe2 5061
}

# In several processes, as one may not be allowed as many files.
many_clients() # CONNECTIONS-EACH
{
	local i

	for ((i = 0; i < CLIENTS; i++)); do
		mkfifo "$LAB_DIR/go$i"
		in_ns client "$TOOLS/manyconns" connect -n "$1" -w -t 20 -a 10.0.0.$((100 + i * ADDRESSES)) \
			-A $ADDRESSES "$VIP" 5061 <"$LAB_DIR/go$i" >"$LAB_DIR/many$i" 3>&- &
	done
	exec {go[0]}>"$LAB_DIR/go0" {go[1]}>"$LAB_DIR/go1" {go[2]}>"$LAB_DIR/go2" \
		{go[3]}>"$LAB_DIR/go3" {go[4]}>"$LAB_DIR/go4"
}

# Nice values, of the control thread and of all others.
nice_values()
{
	local pid

	pid=$(<"$LAB_DIR/tmbridge.pid")
	awk -v pid="$pid" '{ print ($1 == pid ? "control" : "others"), $19 }' "/proc/$pid/task/"*/stat | sort -u | paste -sd,
}

gives_way()
{
	[[ $(nice_values) = "control 19,others "* ]]
}

# As far as the machine lets it return: where root may raise no limit, it may not.
may_return()
{
	grep -q '^Max nice priority  *20 ' "/proc/$(<"$LAB_DIR/tmbridge.pid")/limits"
}

many_lines() # LINES-EACH
{
	[[ $(cat "$LAB_DIR"/many? | wc -l) = $(($1 * CLIENTS)) ]]
}

all_have_ended()
{
	tmbridge_stats | jq -e '.flows.open == 0 and .farms[0].snat[0].ports_in_use == 0'
}

@test "more connections at a time than the address has ports, all answered by their servers; listed, by who gives way to others" {
	local asker before

	lab_ini 'ports = 5061' "${SETTINGS[@]}" 'bridge.max_connections = 100000' 'bridge.max_half_open = 100000'
	tmbridge_start "$LAB_DIR/lb.ini"
	many_clients "$EACH"
	wait_until 60 many_lines 1
	cat "$LAB_DIR"/many?
	[[ $(jq -s 'map(.connected) | add' "$LAB_DIR"/many?) = "$ALL" ]]
	jq -s -e --argjson all "$ALL" "$JQ_SHARE"'(map(.servers.fe1) | add | is_share($all / 2)) and (map(.servers.fe1 + .servers.fe2) | add) == $all' "$LAB_DIR"/many?
	tmbridge_counts .flows.open "$ALL"
	tmbridge_counts .farms[0].snat[0].ports_in_use "$ALL"
	tmbridge_counts '[.farms[0].servers[].connections]' "$(jq -s -c '[map(.servers.fe1), map(.servers.fe2)] | map(add)' "$LAB_DIR"/many?)"
	"$TMBRIDGE" flows -o json >"$LAB_DIR/listed"
	[[ $(grep -o '"client":"[^"]*"' "$LAB_DIR/listed" | sort -u | wc -l),$(wc -l <"$LAB_DIR/listed") = "$ALL,$ALL" ]]
	for n in 1023 1024 1025 $((ALL - 500)); do
		[[ $("$TMBRIDGE" flows -o json --limit $n | sort -u | wc -l) = "$n" ]]
	done
	[[ $("$TMBRIDGE" flows -o json client 10.0.0.1 | wc -l) = 0 ]]
	before=$(nice_values)
	"$TOOLS/asks" /run/tmbridge/eth0-eth1/control 1 "" 0 {,,,}{,,,}{,,,}flows 3>&- &
	asker=$!
	! may_return || wait_until 10 gives_way
	wait $asker
	[[ $(nice_values) = "$before" ]]
	for fd in "${go[@]}"; do
		echo >&"$fd"
	done
	wait_until 60 many_lines 2
	cat "$LAB_DIR"/many?
	[[ $(jq -s 'map(.echoed) | add' "$LAB_DIR"/many?) = "$ALL" ]]
	[[ $(jq -s 'map(.lost) | add' "$LAB_DIR"/many?) = 0 ]]
	for fd in "${go[@]}"; do
		exec {fd}>&-
	done
	wait_until 60 all_have_ended
	tmbridge_stats | stats_add_up
	tmbridge_stop
}
