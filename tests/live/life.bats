# How it starts, how it doesn't, and how it ends.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_up
	lab_ini 'ports = 5061'
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
}

# It must end by itself with STATUS and say why in one line that begins with "tmbridge: WHERE: ",
# WHERE being a pattern.
fails() # STATUS WHERE ARGUMENT...
{
	run in_ns tmb timeout 60 "$TMBRIDGE" "${@:3}"
	echo "$output"
	[[ $status = "$1" && ${#lines[@]} = 1 && ${lines[0]} = "tmbridge: "$2": "?* ]]
}

promiscuity()
{
	ip -n tmb -d -j link show | jq -c '[.[] | select(.ifname == "eth0" or .ifname == "eth1") | .promiscuity]'
}

@test "SIGTERM ends it, with status 0, statistics and promiscuity restored" {
	local n=1 # by the interface's flag, or by each worker's socket

	[[ $FAST_PATH != off ]] || n=${WORKERS:-1}
	[[ $(promiscuity) = '[0,0]' ]]
	tmbridge_start "$LAB_DIR/lb.ini"
	[[ $(promiscuity) = "[$n,$n]" ]]
	rm -f "$LAB_DIR/stats.json"
	tmbridge_stop TERM
	[[ $(promiscuity) = '[0,0]' ]]
	stats_add_up <"$LAB_DIR/stats.json"
	[[ ! -s $LAB_DIR/tmbridge.out ]]
}

@test "SIGINT ends it as well" {
	tmbridge_start "$LAB_DIR/lb.ini"
	tmbridge_stop INT
	[[ $(promiscuity) = '[0,0]' ]]
	stats_add_up <"$LAB_DIR/stats.json"
}

@test "SIGKILL leaves nothing behind, or what goes by wire release" {
	tmbridge_start "$LAB_DIR/lb.ini"
	lab_kill tmbridge
	[[ $FAST_PATH = off ]] || in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	[[ $(promiscuity) = '[0,0]' ]]
	tmbridge_start "$LAB_DIR/lb.ini"
	tmbridge_stop
}

@test "the statistics are one object with the members promised, a flow table of the default size among them" {
	sed '/^max_connections/d' "$LAB_DIR/lb.ini" >"$LAB_DIR/default.ini"
	tmbridge_start "$LAB_DIR/default.ini"
	tmbridge_stats | jq -e '
		.flows.capacity == 1000000 and
		(.version | type) == "string" and (.uptime_s | type) == "number" and
		(.flows | has("open") and has("created") and has("closed") and has("idle_expired") and
			has("refused") and has("capacity")) and
		.farms[0].name == "pool" and .farms[0].vip == "10.0.0.40" and
		(.farms[0].up | type) == "boolean" and
		.farms[0].snat == [{"address": "10.0.0.40", "ports_in_use": 0, "removed": false}] and
		(.farms[0].servers | map(.name)) == ["fe1", "fe2"] and
		(.farms[0].servers[0] | .address == "10.0.0.41" and .state == "active" and
			.weight == 1 and .connections == 0 and .connections_total == 0 and
			has("health") and has("probes_ok") and has("probes_failed"))'
	tmbridge_stop
}

@test "preflight: no such interface" {
	fails 1 eth9 eth9 eth1 -f "$LAB_DIR/lb.ini"
	fails 1 eth9 eth0 eth9 -f "$LAB_DIR/lb.ini"
}

@test "preflight: an interface that is down" {
	ip -n tmb link set eth1 down
	fails 1 eth1 eth0 eth1 -f "$LAB_DIR/lb.ini"
	ip -n tmb link set eth1 up
}

@test "preflight: the same interface twice" {
	fails 2 'command line' eth0 eth0 -f "$LAB_DIR/lb.ini"
}

@test "preflight: a member of a kernel bridge" {
	ip -n tmb link add br9 type bridge
	ip -n tmb link set eth0 master br9
	fails 1 eth0 eth0 eth1 -f "$LAB_DIR/lb.ini"
	ip -n tmb link del br9
}

@test "preflight: MTUs that differ" {
	ip -n tmb link set eth1 mtu 1400
	fails 1 'eth0, eth1' eth0 eth1 -f "$LAB_DIR/lb.ini"
	ip -n tmb link set eth1 mtu 1500
}

@test "preflight: a VIP that somebody else answers for" {
	for ns in dc fe1; do
		ip -n $ns addr add "$VIP/32" dev eth0
		fails 1 '*' eth0 eth1 -f "$LAB_DIR/lb.ini"
		[[ $output = *"$VIP"* ]]
		ip -n $ns addr del "$VIP/32" dev eth0
	done
}

@test "preflight: a stack that a reload would overflow" {
	run in_ns tmb prlimit --stack=262144:262144 "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini"
	[[ $status = 1 && $output = "tmbridge: the stack is limited to 256 KiB: 1024 are needed (ulimit -s 1024)" ]]
}

@test "preflight: no permission" {
	cp "$TMBRIDGE" /run/copied # nobody may not be let into the checkout
	run in_ns tmb timeout 60 setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \
		--bounding-set=-all /run/copied eth0 eth1 -f "$LAB_DIR/lb.ini"
	echo "$output"
	[[ $status = 1 && ${#lines[@]} = 1 && ${lines[0]} = tmbridge:* ]]
	[[ ${lines[0],,} = *permi* ]]
}

@test "after all these, promiscuity is as it was, and it starts" {
	[[ $(promiscuity) = '[0,0]' ]]
	tmbridge_start "$LAB_DIR/lb.ini"
	tmbridge_stop
}

@test "mistakes on the command line: status 2" {
	for arguments in "" "eth0" "eth0 eth1" "eth0 eth1 eth2 -f $LAB_DIR/lb.ini" "-x" "-f" \
		"eth0 eth1 -f $LAB_DIR/lb.ini -k 123" "-r in.pcap -f $LAB_DIR/lb.ini" \
		"-t" "eth0 eth1 -t -f $LAB_DIR/absent.ini"; do
		run in_ns tmb timeout 60 "$TMBRIDGE" $arguments
		echo "$arguments: $status: $output"
		[[ $status = 2 && ${lines[0]} = tmbridge:* ]]
	done
}

@test "mistakes in lb.ini: status 2, with the place" {
	sed 's/^ports.*/ports = 70000/' "$LAB_DIR/lb.ini" >"$LAB_DIR/bad.ini"
	fails 2 "$LAB_DIR/bad.ini:*" eth0 eth1 -f "$LAB_DIR/bad.ini"
	fails 2 "$LAB_DIR/bad.ini:*" -t -f "$LAB_DIR/bad.ini"
	fails 2 "$LAB_DIR/absent.ini" -t -f "$LAB_DIR/absent.ini"
	run "$TMBRIDGE" -t -f "$LAB_DIR/lb.ini"
	[[ $status = 0 && $output = ok ]]
}

@test "help and version" {
	run "$TMBRIDGE" --help
	[[ $status = 0 && $output = *"tmbridge OUTSIDE INSIDE"* ]]
	run "$TMBRIDGE" -V
	[[ $status = 0 && $output = *[0-9].[0-9]* ]]
}

@test "signals of no concern to it don't end it, at no time" {
	local signal

	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 2 signals_are_held
	for signal in USR2 ALRM VTALRM PROF IO PWR STKFLT PIPE XFSZ XCPU TTIN TTOU RTMIN RTMAX; do
		lab_signal tmbridge "$signal"
	done
	wait_until 20 tmbridge_is_up
	for signal in USR2 ALRM VTALRM PROF IO PWR STKFLT PIPE XFSZ XCPU TTIN TTOU RTMIN RTMAX; do
		lab_signal tmbridge "$signal"
	done
	in_ns dc ping -c 1 -W 10 10.0.0.41
	tmbridge_stop
}

@test "SIGUSR1 and SIGHUP before it is ready are done when it is" {
	rm -f "$LAB_DIR/stats.json"
	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 2 signals_are_held
	lab_signal tmbridge USR1
	lab_signal tmbridge HUP
	wait_until 20 tmbridge_is_up
	wait_until 15 test -s "$LAB_DIR/stats.json"
	wait_until 5 grep -q reloaded "$LAB_DIR/tmbridge.err"
	tmbridge_stop
}

# It has become tmbridge, and got as far as its first line.
signals_are_held()
{
	local pid name blocked

	read -r pid <"$LAB_DIR/tmbridge.pid"
	read -r name <"/proc/$pid/comm"
	blocked=$(sed -n 's/^SigBlk:\t//p' "/proc/$pid/status")
	[[ $name = tmbridge ]] && ((0x$blocked & 1))
}

# Asks for statistics once more.
more_than_a_pipe_holds()
{
	lab_signal tmbridge USR1
	grep -qE "statistics: (its reader doesn't keep up|left out)" "$LAB_DIR/tmbridge.err"
}

@test "-s - to a reader who doesn't read: the control thread goes on, and the end is in time" {
	local reader

	rm -f "$LAB_DIR/pipe"
	mkfifo "$LAB_DIR/pipe"
	exec {reader}<>"$LAB_DIR/pipe"
	lab_spawn tmbridge tmb bash -c 'exec "$0" eth0 eth1 -f "$1" -s - >"$2"' "$TMBRIDGE" "$LAB_DIR/lb.ini" "$LAB_DIR/pipe"
	wait_until 20 tmbridge_is_up
	wait_until 20 more_than_a_pipe_holds
	lab_signal tmbridge HUP
	wait_until 2 grep -q reloaded "$LAB_DIR/tmbridge.err"
	lab_signal tmbridge TERM
	[[ $(lab_wait tmbridge 8) = 0 ]]
	exec {reader}<&-
}

@test "a thousand farms with logs of their own start, and reload, though 1024 files are the limit" {
	local i

	{
		echo "[bridge]"
		echo "max_connections = 10000"
		for ((i = 0; i < 1000; i++)); do
			printf '[farm f%d]\nvip = 10.1.%d.%d\nports = 80\nconnlog = %s\n' $i $((i / 200)) $((i % 200 + 1)) "$LAB_DIR/logs/$i"
			printf '[server s%d]\nfarm = f%d\naddress = 10.0.0.41\n' $i $i
		done
	} >"$LAB_DIR/thousand.ini"
	mkdir -p "$LAB_DIR/logs"
	chown "$LAB_USER" "$LAB_DIR/logs"
	(ulimit -Sn 1024 && tmbridge_start "$LAB_DIR/thousand.ini")
	lab_signal tmbridge HUP
	wait_until 40 grep -q reloaded "$LAB_DIR/tmbridge.err"
	tmbridge_stop
}
