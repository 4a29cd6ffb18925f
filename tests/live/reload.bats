# SIGHUP: new rules, the same connections; and the connection log.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../failover.sh"

setup_file()
{
	lab_up addresses=4
	ip -n fe2 addr add 10.0.0.43/24 dev eth0
	server_tcp fe1 5061
	server_tcp fe2 5061
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
	umount "$LAB_DIR/small" 2>/dev/null || true
}

reload()
{
	local lines

	lines=$(wc -l <"$LAB_DIR/tmbridge.err")
	lab_signal tmbridge HUP
	wait_until 10 reload_is_over "$lines"
}

reload_is_over() # LINES
{
	tail -n "+$(($1 + 1))" "$LAB_DIR/tmbridge.err" | seek reloaded
}

# Two processes of 10,000 connections each, as many files as one may have open, that use each once
# more for each line that they are sent.
crowd_gathers()
{
	local i

	for i in 0 1; do
		mkfifo "$LAB_DIR/crowd$i.in"
		in_ns client "$TOOLS/manyconns" connect -n 10000 -t 10 -a 10.0.0.$((100 + 2 * i)) -A 2 -w \
			"$VIP" 5061 <"$LAB_DIR/crowd$i.in" >"$LAB_DIR/crowd$i" 3>&- &
	done
	exec {crowd0}>"$LAB_DIR/crowd0.in" {crowd1}>"$LAB_DIR/crowd1.in"
	wait_until 60 crowd_has_said 2
}

crowd_has_said() # LINES
{
	[[ $(cat "$LAB_DIR"/crowd? | wc -l) = "$1" ]]
}

crowd_is_well()
{
	local before

	before=$(cat "$LAB_DIR"/crowd? | wc -l)
	echo >&"$crowd0"
	echo >&"$crowd1"
	wait_until 60 crowd_has_said $((before + 2))
	tail -qn 1 "$LAB_DIR"/crowd?
	tail -qn 1 "$LAB_DIR"/crowd? | jq -es "$JQ_SHARE"'(map(.echoed) | add) == 20000 and (map(.reset + .lost) | add) == 0 and
		(map(.servers.fe1) | add | is_share(10000)) and (map(.servers.fe1 + .servers.fe2) | add) == 20000'
}

@test "20,000 connections outlive a reload that adds a server and removes another, and their SNAT address" {
	lab_ini 'ports = 5061' 'bridge.max_connections = 100000' "connlog = $LAB_DIR/conn.log"
	tmbridge_start "$LAB_DIR/lb.ini"
	crowd_gathers
	crowd_is_well
	sed -i '/^\[server fe2\]/,$d' "$LAB_DIR/lb.ini"
	sed -i 's/^vip = .*/&\nsnat = 10.0.0.45/' "$LAB_DIR/lb.ini"
	printf '[server fe3]\nfarm = pool\naddress = 10.0.0.43\nweight = 2\n' >>"$LAB_DIR/lb.ini"
	reload
	crowd_is_well
	tmbridge_stats | jq -e '.farms[0].snat == [{"address": "10.0.0.45", "ports_in_use": 0, "removed": false},
		{"address": "10.0.0.40", "ports_in_use": 20000, "removed": true}]'
	tmbridge_stats | jq -e '.flows | .open == 20000 and .reload == 0'
	tmbridge_stats | jq -e --argjson n "$(tail -qn 1 "$LAB_DIR"/crowd? | jq -cs 'map(.servers.fe1) | add')" '
		[.farms[0].servers[] | {name, state, connections, removed}] == [
		{"name": "fe1", "state": "active", "connections": $n, "removed": false},
		{"name": "fe3", "state": "active", "connections": 0, "removed": false},
		{"name": "fe2", "state": "drain", "connections": (20000 - $n), "removed": true}]'
	# who is new goes to the new server first, which has no load; nobody to the one that is gone
	vip_connect -n 10 -j 1 -c -g | grep -c ' 10.0.0.43:5061$' | seek -x 10
	exec {crowd0}>&- {crowd1}>&-
	wait_until 60 all_have_ended # on a machine that is busy their FINs are lost, and come again later and later
	reload
	tmbridge_stats | jq -e '.flows.reload == 0 and .flows.created == 20010'
	books_balance
	tmbridge_stop
	[[ $(wc -l <"$LAB_DIR/conn.log") = 20010 ]]
	jq -es 'map(.why == "fin" or .why == "rst") | all' "$LAB_DIR/conn.log"
}

all_have_ended()
{
	tmbridge_stats | jq -e '.flows.open == 0'
}

@test "a farm that is gone is closed with RSTs, and its address is no longer answered for" {
	lab_ini 'ports = 5061' "connlog = $LAB_DIR/gone.log"
	tmbridge_start "$LAB_DIR/lb.ini"
	hold held1
	sed -i "s/^vip = .*/vip = 10.0.0.60/" "$LAB_DIR/lb.ini"
	reload
	wait_until 2 is_over held1
	grep -q 'Connection reset by peer' "$LAB_DIR/held1.err"
	VIP=10.0.0.60 vip_connect -n 4 | jq -e '.echoed == 4'
	in_ns client ip neigh flush dev eth0
	never in_ns client ping -c 1 -W 1 "$VIP"
	tmbridge_stats | jq -e '.flows.reload == 1'
	wait_until 2 grep -q '"why":"reload"' "$LAB_DIR/gone.log"
	tmbridge_stop
}

# bats test_tags=apart
@test "flows of a farm that is gone are in its log, also if no other farm has one" {
	lab_ini 'ports = 5061' "connlog = $LAB_DIR/gone.log"
	rm -f "$LAB_DIR/gone.log"
	tmbridge_start "$LAB_DIR/lb.ini"
	hold held1
	sed -i "s/^vip = .*/vip = 10.0.0.60/; /^connlog/d" "$LAB_DIR/lb.ini"
	reload
	wait_until 2 is_over held1
	wait_until 2 grep -q '"farm":"pool".*"why":"reload"' "$LAB_DIR/gone.log"
	tmbridge_stats | jq -e '.connlog == {"written": 1, "lost": 0}'
	tmbridge_stop
}

@test "what is open when it ends is in the log" {
	lab_ini 'ports = 5061' "connlog = $LAB_DIR/exit.log"
	tmbridge_start "$LAB_DIR/lb.ini"
	hold held1
	hold held2
	vip_connect -n 3 -c
	wait_until 5 tmbridge_counts .flows.open 2
	tmbridge_stop
	lab_kill held1
	lab_kill held2
	jq -es 'map(.why) | sort == ["exit", "exit", "fin", "fin", "fin"]' "$LAB_DIR/exit.log" ||
		jq -es 'map(.why) | sort == ["exit", "exit", "rst", "rst", "rst"]' "$LAB_DIR/exit.log"
	jq -e '.flows.open == 2 and .connlog == {"written": 5, "lost": 0}' "$LAB_DIR/stats.json"
}

# bats test_tags=apart
@test "what is open when it ends, and no reader takes, is counted lost in the last statistics" {
	local reader

	mkfifo "$LAB_DIR/full.log"
	chown "$LAB_USER" "$LAB_DIR/full.log"
	exec {reader}<>"$LAB_DIR/full.log"
	lab_ini 'ports = 5061' "connlog = $LAB_DIR/full.log"
	tmbridge_start "$LAB_DIR/lb.ini"
	dd if=/dev/zero of="$LAB_DIR/full.log" oflag=nonblock bs=4096 count=100 2>/dev/null || true
	hold held1
	tmbridge_stop
	lab_kill held1
	exec {reader}<&-
	jq -e '.flows.open == 1 and .connlog == {"written": 0, "lost": 1}' "$LAB_DIR/stats.json"
}

times_lost() # that the log has said so
{
	grep -c 'lines are lost' "$LAB_DIR/tmbridge.err" || true
}

# bats test_tags=plain,apart
@test "a log that goes on failing is said again when its 10 s are over" {
	local i begun

	mkdir -p "$LAB_DIR/small"
	mount -t tmpfs -o size=4k none "$LAB_DIR/small"
	lab_ini 'ports = 5061' "connlog = $LAB_DIR/small/conn.log"
	tmbridge_start "$LAB_DIR/lb.ini"
	begun=$SECONDS
	for ((i = 0; i < 60 && $(times_lost) < 2; i++)); do
		vip_connect -n 20 -c >"$LAB_DIR/out"
		sleep 1
	done
	[[ $(times_lost) = 2 ]]
	((SECONDS - begun >= 10)) # and not before
	tmbridge_stop
}

# bats test_tags=apart
@test "a bad file changes nothing, and one line says why" {
	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	hold held1
	echo 'wieght = 3' >>"$LAB_DIR/lb.ini"
	lab_signal tmbridge HUP
	wait_until 5 log_says 'not reloaded: nothing has changed'
	[[ $(wc -l <"$LAB_DIR/tmbridge.err") = 2 ]] # that it balances, and that it didn't reload
	log_says 'lb.ini:[0-9]+: \[server fe2\] unknown key .wieght.: did you mean .weight.'
	vip_connect -n 4 | jq -e '.echoed == 4'
	never is_over held1
	tmbridge_stop
	lab_kill held1
}

# bats test_tags=apart
@test "the log says what a reload changed, and when nothing did" {
	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	reload
	wait_until 5 log_says 'lb.ini: reloaded: no key has changed$'
	sed -i 's/^ports = .*/ports = 5060-5061\nidle_timeout = 10m/; s/^\[server fe2\]/[server fe3]/' "$LAB_DIR/lb.ini"
	sed -i '/^address = 10.0.0.41/a weight = 5' "$LAB_DIR/lb.ini"
	: >"$LAB_DIR/tmbridge.err"
	reload
	wait_until 5 log_says 'fe2. is gone'
	diff - <(sed 's/.*lb.ini: //' "$LAB_DIR/tmbridge.err") <<-END
		reloaded
		[farm pool] ports: 5061 -> 5060-5061
		[farm pool] idle_timeout: 30m -> 10m
		[server fe1] weight: 1 -> 5
		[server fe3] is new
		[server fe2] is gone
	END
	vip_connect -n 4 | jq -e '.echoed == 4'
	tmbridge_stop
}

# bats test_tags=apart
@test "a server that is new starts with a probe" {
	lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 1s' 'check_timeout = 500ms'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
	printf '[server fe3]\nfarm = pool\naddress = 10.0.0.43\n' >>"$LAB_DIR/lb.ini"
	reload
	wait_until 3 health_is fe3 up
	health_is fe1 up
	health_is fe2 up
	tmbridge_stop
}

@test "logrotate: lines after a SIGHUP go to the new file, and none is lost" {
	lab_ini 'ports = 5061' "connlog = $LAB_DIR/rotated.log"
	tmbridge_start "$LAB_DIR/lb.ini"
	vip_connect -n 50 -c
	wait_until 5 all_have_ended
	mv "$LAB_DIR/rotated.log" "$LAB_DIR/rotated.log.1"
	reload
	vip_connect -n 30 -c
	wait_until 5 all_have_ended
	tmbridge_stop
	[[ $(wc -l <"$LAB_DIR/rotated.log.1") = 50 && $(wc -l <"$LAB_DIR/rotated.log") = 30 ]]
	jq -es 'map(.client_bytes > 0 and .server_bytes > 0 and .start <= .end and .vip == "10.0.0.40:5061") | all' \
		"$LAB_DIR/rotated.log"
}

# bats test_tags=apart
@test "a log that a reload takes away: its lines are written, and the end is a proper one" {
	lab_ini 'ports = 5061' "connlog = $LAB_DIR/ends.log"
	tmbridge_start "$LAB_DIR/lb.ini"
	vip_connect -n 20 -c
	wait_until 5 all_have_ended
	sed -i '/^connlog/d' "$LAB_DIR/lb.ini"
	reload
	vip_connect -n 10 -c
	wait_until 5 all_have_ended
	wait_until 5 tmbridge_has_written 20
	hold held1
	tmbridge_stop
	[[ $(wc -l <"$LAB_DIR/ends.log") = 20 ]]
	is_over held1 || lab_kill held1
}

tmbridge_has_written() # LINES
{
	tmbridge_stats | jq -e ".connlog == {\"written\": $1, \"lost\": 0}"
}

@test "logs of before a reload are closed, and their lines still counted" {
	local fds i

	lab_ini 'ports = 5061' "connlog = $LAB_DIR/many.log"
	tmbridge_start "$LAB_DIR/lb.ini"
	fds=$(open_files)
	for i in 1 2 3 4 5; do
		vip_connect -n 4 -c
		wait_until 5 all_have_ended
		rm "$LAB_DIR/many.log"
		reload
	done
	wait_until 5 has_open "$fds"
	never grep "/log.*deleted" <(ls -l /proc/"$(cat "$LAB_DIR/tmbridge.pid")"/fd)
	tmbridge_has_written 20
	tmbridge_stop
}

open_files()
{
	ls "/proc/$(cat "$LAB_DIR/tmbridge.pid")/fd" | wc -l
}

has_open() # NUMBER
{
	[[ $(open_files) = "$1" ]]
}

# bats test_tags=apart
@test "a pipe as log: without a reader a reload is refused and nothing stops; with one, it gets the lines" {
	local reader

	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	mkfifo "$LAB_DIR/pipe.log"
	chown "$LAB_USER" "$LAB_DIR/pipe.log"
	sed -i "s|^vip = .*|&\nconnlog = $LAB_DIR/pipe.log|" "$LAB_DIR/lb.ini"
	lab_signal tmbridge HUP
	wait_until 5 log_says 'pipe.log: connection log: nobody reads this pipe'
	wait_until 5 log_says 'not reloaded: nothing has changed'
	vip_connect -n 4 | jq -e '.echoed == 4'
	wait_until 5 all_have_ended
	exec {reader}<>"$LAB_DIR/pipe.log"
	reload
	# more than a pipe holds (64 KiB), and nobody takes it yet
	vip_connect -n 400 -c
	wait_until 5 all_have_ended
	wait_until 5 lines_are 400
	tmbridge_stats | jq -e '.connlog | .written > 100 and .lost > 0'
	lab_drain "$reader" >"$LAB_DIR/piped"
	jq -es 'length > 100' "$LAB_DIR/piped"
	vip_connect -n 10 -c
	wait_until 5 lines_are 410
	lab_drain "$reader" >"$LAB_DIR/piped"
	[[ $(wc -l <"$LAB_DIR/piped") = 10 ]]
	exec {reader}<&-
	tmbridge_stop
}

lines_are() # NUMBER
{
	tmbridge_stats | jq -e ".connlog.written + .connlog.lost == $1"
}

# bats test_tags=apart
@test "a full disk: the wire goes on, lines are counted lost, and the file holds whole ones" {
	mkdir -p "$LAB_DIR/small"
	mount -t tmpfs -o size=16k none "$LAB_DIR/small"
	lab_ini 'ports = 5061' "connlog = $LAB_DIR/small/conn.log"
	tmbridge_start "$LAB_DIR/lb.ini"
	vip_connect -n 300 -c | jq -e '.connected == 300'
	wait_until 5 all_have_ended
	wait_until 5 lines_add_up
	tmbridge_stats | jq -e '.connlog.lost > 0'
	jq -es 'length > 0' "$LAB_DIR/small/conn.log"
	log_says 'connection log: .*lines are lost'
	[[ $(grep -c 'lines are lost' "$LAB_DIR/tmbridge.err") = 1 ]]
	tmbridge_stop
	# each lost line is said, the last ones at the end
	[[ $(sed -nE 's/.*lines are lost \(([0-9]+)\)$/\1/p' "$LAB_DIR/tmbridge.err" | jq -s add) = $(jq .connlog.lost "$LAB_DIR/stats.json") ]]
}

lines_add_up()
{
	tmbridge_stats | jq -e '.connlog.written + .connlog.lost == (.flows.created - .flows.open)'
}

# bats test_tags=apart
@test "lines begin with their level when stderr is the journal" {
	lab_ini 'ports = 5061'
	: >"$LAB_DIR/journal"
	in_ns tmb bash -c 'exec env JOURNAL_STREAM=$(stat -Lc %d:%i '"$LAB_DIR/journal"') \
		"$@" 2>>'"$LAB_DIR/journal" _ "$TMBRIDGE" eth0 nope -f "$LAB_DIR/lb.ini" || true
	grep -qx '<3>tmbridge: nope: no such interface' "$LAB_DIR/journal"
}
