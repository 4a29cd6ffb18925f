# The kernel fast path on the oldest kernel that it is for: a short way through it, as all else in here is slow.
# bats file_tags=short

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_up
	for server in fe1 fe2; do
		lab_spawn "talks-$server" "$server" "$TOOLS/talks" serve 5061
		wait_until 20 server_listens "$server" 5061
	done
	FAST_PATH=kernel lab_ini 'ports = 5061' 'bridge.on_exit = keep'
	printf '[filter talks]\nmatch = tcp dst port 5061\naction = count\n' >>"$LAB_DIR/lb.ini"
}

teardown_file()
{
	lab_kill_all
}

start()
{
	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 60 grep -q 'balancing$' "$LAB_DIR/tmbridge.err" || { cat "$LAB_DIR/tmbridge.err" >&2; false; }
}

forwards()
{
	local n

	n=$(tmbridge_stats | jq .fast_path.forwarded)
	wait_until 30 eval "tmbridge_stats | jq -e '.fast_path.active and .fast_path.forwarded > $n + 50'"
}

@test "the programs are loaded, with a filter, and the wire and open flows go by them" {
	start
	wait_until 30 in_ns dc ping -c 1 -W 1 10.0.0.41
	lab_spawn client client "$TOOLS/talks" connect "$VIP" 5061 10 20000 20
	wait_until 60 grep -q open "$LAB_DIR/client.out"
	forwards
	tmbridge_stats | jq -e '(.fast_path | .active and .bridged > 0 and .forwarded > .punted) and .filters[0].matched > 50'
}

@test "kill -9: they go on, and are adopted" {
	lab_kill tmbridge
	in_ns dc ping -c 3 -i 0.2 -W 5 10.0.0.41
	start
	grep -q '^tmbridge: 10 connections of an earlier process go on$' "$LAB_DIR/tmbridge.err"
	forwards
	lab_signal client TERM
	[[ $(lab_wait client 60) = 0 ]]
	tail -1 "$LAB_DIR/client.out" | jq -e '.lost == 0 and .rounds > 20'
	wait_until 30 tmbridge_counts .flows.open 0
}
