# Operators: the sockets, the verbs, and who misuses them.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../operator.sh"

@test "status: a record whose figures add up" {
	run tmb status -o json
	[[ $status = 0 && ${#lines[@]} = 1 ]]
	stats_add_up <<<"${lines[0]}"
	jq -e '.ports.outside.link == "up" and .farms[0].servers[0].since and .flows.capacity == 10000' <<<"${lines[0]}"
}

@test "status, for people" {
	run tmb status
	echo "$output"
	[[ $status = 0 && $output = *"farm pool  10.0.0.40  up"* && $output = *"fe1"*"10.0.0.41"*"active"*"up"* ]]
	[[ -z $(awk 'length > 100' <<<"$output") ]]
	tmb version | seek '^tmbridge [0-9.]*, process [0-9]*, .*lb.ini$'
	tmb events | seek 'balancing$'
	tmb server list -o csv | seek '^pool,fe1,10.0.0.41,active,up,'
	tmb farm list | seek -E '^pool +10.0.0.40 +true +2 +2 +0( |$)'
}

# What somebody else's parser makes of the metrics: "NAME{LABELS} VALUE" a line.
parsed() # FILE
{
	/usr/bin/python3 - "$1" <<-'END'
		import sys
		from prometheus_client.openmetrics.parser import text_string_to_metric_families
		for family in text_string_to_metric_families(open(sys.argv[1]).read()):
		    for sample in family.samples:
		        labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
		        print(f"{sample.name}{{{labels}}} {sample.value:g}")
	END
}

metric_is() # LINE
{
	tmb metrics >"$LAB_DIR/metrics"
	parsed "$LAB_DIR/metrics" | grep -xF "$1"
}

@test "metrics: valid by another's parser, and the same as the statistics" {
	# one after the other, so that with the kernel's path, too, there are more bursts than the 16 of which one's time is taken
	in_ns client "$TOOLS/manyconns" connect -n 40 -j 1 -t 20 "$VIP" 5061 | jq -e '.echoed == 40'
	connections=$(tmb status -o json | jq '[.farms[].servers[].connections_total] | add')
	wait_until 10 metric_is "tmbridge_flow_duration_seconds_count{farm=pool} $connections"
	metric_is "tmbridge_connect_seconds_count{farm=pool} $connections"
	metric_is 'tmbridge_server_up{farm=pool,server=fe1} 1'
	metric_is 'tmbridge_frames_total{act=answered,reason=no_server} 0'
	metric_is 'tmbridge_port_up{side=outside} 1'
	parsed "$LAB_DIR/metrics" | seek -E '^tmbridge_burst_seconds_count\{\} [1-9]'
	tmb status -o json | jq -e '.farms[0].servers[0].connect_p99_ms > 0'
}

# Twenty farms of two ports, with twenty servers each, beside those that there are.
many_farms()
{
	local farm server

	for farm in {1..20}; do
		printf '[farm many%s]\nvip = 10.0.1.%s\nports = 80, 443\ncheck = 80\n' "$farm" "$farm"
		for server in {1..20}; do
			printf '[server many%s-%s]\nfarm = many%s\naddress = 10.0.2.%s\n' "$farm" "$server" "$farm" "$server"
		done
	done
}

@test "metrics of 20 farms with 20 servers each: less than 6000 lines, valid by another's parser" {
	cp "$LAB_DIR/lb.ini" "$LAB_DIR/kept.ini"
	many_farms >>"$LAB_DIR/lb.ini"
	tmb reload
	tmb metrics >"$LAB_DIR/metrics"
	cat "$LAB_DIR/kept.ini" >"$LAB_DIR/lb.ini"
	tmb reload
	wc -l <"$LAB_DIR/metrics"
	[[ $(wc -l <"$LAB_DIR/metrics") -lt 6000 ]]
	[[ $(parsed "$LAB_DIR/metrics" | grep -c '^tmbridge_server_up{farm=many') = 400 ]]
}

@test "flows: by filter, sorted, limited, in each format" {
	local client

	needs_one_worker
	hold one
	hold two
	cat "$LAB_DIR/one.out"
	[[ $(tmb flows --no-header | wc -l) = 2 ]]
	[[ $(tmb flows --no-header server fe1 | wc -l) = 1 ]]
	[[ $(tmb flows -o json client 10.0.0.100 and state open and not server fe1 | jq -r .server_name) = fe2 ]]
	[[ $(tmb flows --no-header --limit 1 --sort age | wc -l) = 1 ]]
	[[ $(tmb flows --no-header age over 1h | wc -l) = 0 && $(tmb flows --no-header to 10.0.0.0/24 and bytes under 1M | wc -l) = 2 ]]
	client=$(tmb flows -o json server fe1 | jq -r .client)
	[[ $(tmb flows --no-header "$client" -o wide | wc -l) = 1 ]]
	tmb flows -o csv | sed -n 1p | seek '^client,vip,snat,server_name,state,'
	[[ $(tmb flows --no-header age under 1h30m and not idle over 1d and bytes under 5000000000 and bytes under 1T | wc -l) = 2 ]]
	tmb flows | awk 'length > 100 { exit 1 }'
	run tmb flows server fe11
	[[ $status = 4 && $output = *"fe11: no such server (did you mean fe1?)"* ]]
	run tmb flows sttae open
	[[ $status = 2 && $output = *"did you mean state?"* ]]
	run tmb flows state open and
	[[ $status = 2 ]]
	tmb flows -o json --limit 1 | jq -se 'length == 1'
	# whoever is asked sorts and cuts, or only cuts, or neither can
	tmb flows -o json --limit 1 --sort AGE | jq -se 'length == 1'
	tmb flows -o json --limit 5 --sort "c bytes" | jq -se 'length == 2 and .[0].client_bytes >= .[1].client_bytes'
	tmb flows -o json --limit 1001 --sort age | jq -se 'length == 2'
	tmb flows -o json --limit 1 --sort client | jq -se 'length == 1'
	for order in "--sort client --limit 2" "--sort age_ms" "--sort age_ms --limit 1001" "--limit x"; do
		asked status "flows $order" | jq -e '.exit == 2'
	done
	asked status "flows server fe1 --sort idle_ms --limit 1000" | jq -se 'length == 2 and .[1].exit == 0'
	asked status "flows --limit 1" | jq -se 'length == 2 and .[1].exit == 0'
	# none of them is none, whoever cuts
	for order in "" "--sort age_ms "; do
		asked status "flows $order--limit 0" | jq -se 'length == 1 and .[0].exit == 0'
	done
	for list in flows "flows --sort age" "flows --sort client" "server list" "farm list" events "who $VIP" "top --once"; do
		[[ -z $(tmb $list --no-header --limit 0) ]]
	done
	tmb flows -o json --sort age | jq -se 'length == 2 and .[0].age_ms >= .[1].age_ms'
	tmb server list -o json --sort name --limit 1 | jq -se 'length == 1 and .[0].name == "fe1" and .[0].farm == "pool"'
	tmb top --once --by client -o json | jq -se '.[0].client == "10.0.0.100"'
	tmb status -o csv --no-header | seek '^pool,fe2,10.0.0.42,active,up,'
	tmb events -o csv --limit 2 | awk -F, 'NR == 1 && $0 != "time,level,about,text" { exit 1 } END { exit NR != 3 }'
	for wrong in "flows -o" "flows --sort" "flows --limit" "status -i" "flows --limit two" "flows --limit -1" "events --limit 5x" "status --watch=soon" "status --watch=0" "capture -c few" "capture -c 0" "capture -t -3" "capture -t 0s" "capture -c"; do
		run tmb $wrong
		[[ $status = 2 && -n $output ]]
	done
}

@test "who: live connections by any of their addresses, ended ones by the logs, compressed too" {
	local snat client word ended

	needs_one_worker
	snat=$(tmb flows -o json server fe1 | jq -r .snat)
	client=$(tmb flows -o json server fe1 | jq -r .client)
	tmb who "$snat" --server fe1 | seek "^$client "
	tmb who "$snat" --server fe1 -o json | jq -e --arg client "$client" '.client == $client and .state == "open"'
	tmb who "$snat" --server fe1 -o json | jq -e '(now - (.start | sub("\\.[0-9]+Z$"; "Z") | fromdate)) | . >= 0 and . < 900' # and no hour off
	# one that has ended is in a log, and rests: it is one, all the same
	ended=$(in_ns client "$TOOLS/manyconns" connect -g -n 1 -t 20 "$VIP" 5061 | sed -n 1p | cut -d' ' -f2)
	wait_until 5 grep -q "\"snat\":\"$ended\".*\"why\":\"fin\"" "$LAB_DIR/conn.log"
	client=$(grep -F "\"snat\":\"$ended\"" "$LAB_DIR/conn.log" | jq -r .client)
	[[ $(tmb who "$client" --no-header | wc -l) = 1 ]]
	client=$(tmb flows -o json server fe1 | jq -r .client)
	run tmb who 10.0.0.40:1
	[[ $status = 4 && $output = *"nobody, as far as is known"* ]]
	for word in nonsense server; do
		run tmb who $word
		[[ $status = 2 && $output = *"$word: not an address, nor ADDRESS:PORT" ]]
	done
	tmb who "$snat" --server fe1 --at "$(date -u +%FT%T)" | seek "^$client " # it is still there, and was then
	run tmb who "$snat" --server fe1 --at 2026-01-01T00:00
	[[ $status = 4 ]]
	echo '{"start":"2026-11-28T10:00:00.000Z","end":"2026-11-28T10:05:00.000Z","client":"10.9.9.9:99","vip":"10.0.0.40:5061","snat":"10.0.0.40:77","server":"10.0.0.41:5061","server_name":"fe1","why":"fin"}' |
		gzip >"$LAB_DIR/conn.log.2.gz"
	tmb who 10.0.0.40:77 | seek '^10.9.9.9:99 .* fin '
	tmb who 10.9.9.9 | seek '^10.9.9.9:99 .* fin '
	tmb who 10.0.0.40:77 --at="2026-11-28 10:03:00.5Z" | seek '^10.9.9.9:99 '
	for time in 2026-11-28T10:99 2026-13-28T10:03 2026-11-28 2026-11-28T10:03+01:00 yesterday 2026-11-28T10:03:04x; do
		run tmb who 10.0.0.40:77 --at "$time"
		[[ $status = 2 && $output = *"not a time in UTC"* ]]
	done
	echo '{"start":"2026-11-28T10:00:00.000Z","end":"2026-11-28T10:05:00.000Z","client":"[fd00::9]:99","vip":"[fd00::40]:5061","snat":"[fd00::40]:77","server":"[fd00::41]:5061","server_name":"fe1","why":"fin"}' >"$LAB_DIR/conn.log.3"
	for client in fd00::9 FD00:0::9 '[fd00::9]' '[fd00::0:9]:99'; do
		tmb who "$client" | seek '^\[fd00::9\]:99 .* fin '
	done
	for client in 10.9.9.0/24 10.9.9.9/32 10.8.0.0/13 :99 0.0.0.0/0; do
		tmb who "$client" | seek '^10.9.9.9:99 .* fin '
	done
	for client in fd00::/120 fd00::8/125 :99; do
		tmb who "$client" | seek '^\[fd00::9\]:99 .* fin '
	done
	for client in 10.9.9.8/32 10.9.8.0/24 10.9.9.9:9 :9 fd00::/125 fd00::9:99; do
		run tmb who "$client"
		echo "$client: $output"
		[[ $status = 4 && $output = *"$client: nobody, as far as is known" ]]
	done
	run tmb who 10.9.9
	[[ $status != 0 ]]
	tmb who 10.0.0.40:77 --at 2026-11-28T10:03 | seek '^10.9.9.9:99 '
	run tmb who 10.0.0.40:77 --at 2026-11-28T10:06
	[[ $status = 4 ]]
}

@test "flow reset: both ends hear of it; the connection log says who ended it" {
	local server

	needs_one_worker
	server=$(held_server one)
	run tmb flow reset
	[[ $status = 2 ]]
	run tmb flow reset server "$server"
	echo "$output"
	[[ $status = 0 && $output = "1 flow reset" ]]
	wait_until 5 grep -q over "$LAB_DIR/one.out"
	[[ $(tmb flows --no-header | wc -l) = 1 ]]
	[[ $(tmb status -o json | jq .flows.operator) = 1 ]]
	wait_until 5 grep -q '"why":"operator"' "$LAB_DIR/conn.log"
	tmb events | seek "control: uid 0: flow reset server $server"
	run tmb flow reset server "$server"
	[[ $status = 4 ]]
}

@test "events -f goes on, and says what is new" {
	lab_spawn follow tmb "$TMBRIDGE" events -f --limit 1
	wait_until 5 test -s "$LAB_DIR/follow.out"
	never grep -q 'flow reset state half_open' "$LAB_DIR/follow.out"
	run tmb flow reset state half_open
	wait_until 5 grep -q 'control: uid 0: flow reset state half_open' "$LAB_DIR/follow.out"
	lab_kill follow
}

rows_of_fe1() # N
{
	[[ $(grep -c '^pool,fe1,' "$LAB_DIR/watch.out") -ge $1 ]]
}

@test "again and again, with one line of titles for programs; colours on a terminal only" {
	lab_spawn watch tmb "$TMBRIDGE" server list -o csv --watch=0.2
	wait_until 10 rows_of_fe1 3
	lab_kill watch
	[[ $(grep -c '^farm,' "$LAB_DIR/watch.out") = 1 ]]
	script -qec "$TMBRIDGE status" /dev/null | seek $'\e\\[32mup'
	never seek $'\e' <(tmb status)
}

# "tmbridge WORDS" ends with status 2, and says that.
is_wrong() # PATTERN WORD...
{
	run tmb "${@:2}"
	echo "${*:2}: $output"
	[[ $status = 2 && $output = *"$1"* ]]
}

@test "what is wrong with a request is said" {
	is_wrong 'server drain NAME [--wait 15m]' server drain
	is_wrong 'server drain NAME [--wait 15m]' server drain fe1 fe2
	is_wrong 'server drain NAME [--wait 15m]' server drain fe1 --wait
	is_wrong '--wait: soon is no time from 0s to' server drain fe1 --wait soon
	is_wrong '--then reset' server drain fe1 --then again
	is_wrong 'server disable NAME' server disable
	is_wrong 'server enable NAME' server enable fe1 fe2
	is_wrong 'server weight NAME N' server weight fe1
	is_wrong 'weight: -1 is no whole number from 0 to 100' server weight fe1 -1
	is_wrong '--for: 0s is no time from 1s to' server health fe1 down --for 0s
	is_wrong 'flow reset: --limit is for lists' flow reset state any --limit 1
	is_wrong 'events: --sort is for tables' events --sort level
	is_wrong 'server health NAME up|down' server health fe1 down --for
	is_wrong 'farm drain NAME' farm drain
	is_wrong 'farm enable NAME' farm enable pool pool
	is_wrong 'disable, drain, enable, health, list, weight' server
	is_wrong 'bypass, on' wire
	is_wrong 'did you mean bypass?' wire bypas
	is_wrong 'unexpected' farm list pool
	is_wrong 'unexpected' status now
	is_wrong 'unexpected' reload now
	is_wrong 'top [--by server|farm|reason|client]' top --by
	is_wrong 'top [--by server|farm|reason|client]' top fe1
	is_wrong 'which ones?' flow reset
	is_wrong 'no such column' flows --sort colour
	is_wrong 'did you mean snat?' flows stat open
	[[ $output != *CLIENT* ]]
	is_wrong 'did you mean server?' servr
	[[ $(printf '%s\n' "$output" | wc -l) = 1 ]]
	is_wrong 'did you mean json?' flows -o jsn
	server_is fe1 '.state == "active" and .weight == 1'
}

@test "server weight, drain, enable: over the file, shown, kept over a reload, until the file says something else" {
	run tmb server weight fe1 7
	[[ $status = 0 && $output = "server fe1: weight: 1 -> 7" ]]
	server_is fe1 '.weight == 7 and .weight_in_file == "1"'
	tmb server drain fe1
	server_is fe1 '.state == "drain"'
	tmb config diff --no-header | seek -E '^fe1 +state +drain +active +0 '
	tmb status | seek -E 'fe1 .* drain\*'
	tmb reload | seek 'reloaded: no key has changed'
	server_is fe1 '.weight == 7 and .state == "drain"'
	sed -i '/^\[server fe1\]/a weight = 3' "$LAB_DIR/lb.ini"
	tmb reload | seek 'server fe1: weight: what an operator said of it is over'
	tmb events -o json | jq -se 'any(.server == "fe1" and .about == "server fe1") and any(.changes == 0) and any(.uid == 0) and
		any(.server == "fe1" and .health == "up" and .was == "unknown" and (.after_s | type) == "number")'
	server_is fe1 '.weight == 3 and .weight_in_file == null and .state == "drain"'
	tmb server enable fe1
	server_is fe1 '.state == "active"'
	[[ -z $(tmb config diff --no-header) ]]
	run tmb server drain fe11
	[[ $status = 4 && $output = *"fe11: no such server (did you mean fe1?)"* ]]
	run tmb server weight fe1 101
	[[ $status = 2 ]]
	run tmb server drian fe1
	[[ $status = 2 && $output = *"server drian: no such verb (did you mean drain?)"* ]]
}

@test "server drain --wait: not in time, and then reset; farm drain" {
	local server

	needs_one_worker
	server=$(held_server two)
	run tmb server drain "$server" --wait 200ms
	echo "$output"
	[[ $status = 5 && $output = *"1 connection left"* ]]
	[[ ! -s $LAB_DIR/two.status ]]
	run tmb server drain "$server" --wait 200ms --then reset
	echo "$output"
	[[ $status = 0 && $output = *"server $server: state: drain already"*"1 flow reset" ]]
	wait_until 5 grep -q over "$LAB_DIR/two.out"
	run tmb server drain "$server" --wait 5s
	[[ $status = 0 && $output = *" 0 connections left"* ]]
	run tmb server disable "$server"
	[[ $status = 0 && $output = "server $server: state: drain -> disabled" ]]
	server_is "$server" '.state == "disabled" and .health == "unknown"'
	tmb server enable "$server"
	wait_until 10 servers_are_up 2
	hold three
	server=$(held_server three)
	tmb server disable "$server" --reset
	wait_until 5 grep -q over "$LAB_DIR/three.out"
	tmb server enable "$server"
	wait_until 10 servers_are_up 2
	# somebody else wants it back before its time: what it has since isn't the rest any more
	hold four
	server=$(held_server four)
	lab_spawn drain tmb "$TMBRIDGE" server drain "$server" --wait 20s --then reset
	wait_until 5 grep -q "1 connection left" "$LAB_DIR"/drain.{out,err}
	tmb server enable "$server"
	[[ $(lab_wait drain 10) = 6 ]]
	seek 'gets connections again' "$LAB_DIR"/drain.{out,err}
	[[ ! -s $LAB_DIR/four.status ]]
	lab_kill four
	tmb farm drain pool
	tmb status -o json | jq -e '.farms[0].up | not'
	tmb farm enable pool
	tmb status -o json | jq -e '.farms[0].up'
	run tmb farm drain poll
	[[ $status = 4 && $output = *"did you mean pool?"* ]]
}

# As somebody who has only one of the sockets.
asked() # SOCKET REQUEST
{
	/usr/bin/python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.send(sys.argv[2].encode() + b"\n"); s.shutdown(socket.SHUT_WR)
print(b"".join(iter(lambda: s.recv(9999), b"")).decode())' "$RUN/$1" "$2"
}

@test "reload: the file's error and status 2; config check and show" {
	cp "$LAB_DIR/lb.ini" "$LAB_DIR/good.ini"
	echo 'wieght = 3' >>"$LAB_DIR/lb.ini"
	run tmb config check
	[[ $status = 2 && $output = *"wieght"* ]]
	run tmb reload
	echo "$output"
	[[ $status = 2 && $output = *"wieght"* && $(grep -c wieght <<<"$output") = 1 ]]
	cp "$LAB_DIR/good.ini" "$LAB_DIR/lb.ini"
	tmb config check
	diff <(tmb config show) "$LAB_DIR/lb.ini"
	# who may only look doesn't see what may be a password; who may more sees all
	printf '[check own]\n\tSend = AUTH secret\\r\\n\nexpect = OK\n' >>"$LAB_DIR/lb.ini"
	tmb reload | seek reloaded
	asked status 'config show' >"$LAB_DIR/shown"
	never grep -q secret "$LAB_DIR/shown"
	seek '"send = (operators see it)"' "$LAB_DIR/shown"
	asked control 'config show' | seek secret
	cp "$LAB_DIR/good.ini" "$LAB_DIR/lb.ini"
	tmb reload | seek reloaded
}

cpu_ms() # that tmbridge has used
{
	awk '{ print int($1 / 1000000) }' /proc/"$(<"$LAB_DIR/tmbridge.pid")"/task/*/schedstat | awk '{ n += $1 } END { print n }'
}

is_quiet()
{
	local before

	before=$(cpu_ms)
	sleep 1
	echo "a second of it: $(($(cpu_ms) - before)) ms"
	(($(cpu_ms) - before < 100)) && (($(cpu_ms) > 0))
}

# Says much, a line without an end or requests without reading their answers, and then nothing for long.
misuse() # HOW
{
	lab_spawn "misuse-$1" tmb /usr/bin/python3 -c '
import socket, sys, time
kept = []
for i in range(1000 if sys.argv[1] == "many" else 1):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[2])
    s.setblocking(False)
    kept.append(s)
    try:
        for i in range({"endless": 1000, "deaf": 1000, "half": 1, "many": 0}[sys.argv[1]]):
            s.send({"endless": b"x" * 4096, "deaf": b"config show\n" * 300, "half": b"stat"}[sys.argv[1]])
    except OSError: pass
print("said", flush=True)
time.sleep(100)' "$1" "$RUN/status"
	wait_until 5 grep -q said "$LAB_DIR/misuse-$1.out"
}

@test "whoever misuses a socket costs nothing but himself" {
	local how

	for how in half endless deaf; do
		misuse "$how"
	done
	wait_until 20 is_quiet
	tmb status | seek pool
	misuse many
	run tmb status # by the control socket, whose places they can't take
	echo "$output"
	[[ $status = 0 ]]
	for how in half endless deaf many; do
		lab_kill "misuse-$how"
	done
	wait_until 5 tmb status -i eth0-eth1
	in_ns client ping -c 20 -i 0.01 -w 10 10.0.0.41 >"$LAB_DIR/pings"
	pings_answered "$LAB_DIR/pings" 20
}

@test "what can't be written is said, and ends with status 1" {
	local verb

	for verb in status 'server list -o csv' metrics 'version -o json' 'events -f' 'events -f -o json' 'top --once' 'status --watch'; do
		run timeout 60 bash -c "'$TMBRIDGE' $verb >/dev/full"
		echo "$verb: $status $output"
		[[ $status = 1 && $output = *"writing: No space left on device"* ]]
	done
	run timeout 60 "$TMBRIDGE" capture -w /dev/full
	echo "$output"
	[[ $status = 1 && $output = *"/dev/full: No space left on device"* ]]
}
