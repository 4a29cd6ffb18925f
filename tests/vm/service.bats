# The systemd unit, under systemd itself: tmbridge between the machine's own eth0 and eth1. Not in a lab's
# namespaces, where systemd isn't process 1:
# vm: no lab

export LAB_HOST_NET=the-machine-has-no-other
source "$BATS_TEST_DIRNAME/../lab.sh"

# The lab's tmb is the machine.
ip()
{
	if [[ $* = "netns add tmb" ]]; then
		command ip netns attach tmb 1
	else
		command ip "$@"
	fi
}

setup_file()
{
	mkdir -p /run/netns "$LAB_DIR" /etc/tmbridge /etc/default
	lab_up
	server_tcp fe1 5061 5062
	server_tcp fe2 5061 5062
	printf 'OUTSIDE=eth0\nINSIDE=eth1\n' | tee /etc/default/tmbridge >/etc/default/tmbridge-pair
	systemd-sysusers
	mkdir -p "$DROP_IN"
}

# Settings of the unit for one test.
DROP_IN=/run/systemd/system/tmbridge.service.d

settings() # SETTING...
{
	printf '%s\n' '[Service]' "$@" >"$DROP_IN/test.conf"
	systemctl daemon-reload
}

setup()
{
	rules 5061
}

teardown()
{
	systemctl stop tmbridge tmbridge@pair || true
	systemctl reset-failed tmbridge || true
	if [[ -e $DROP_IN/test.conf ]]; then
		rm "$DROP_IN/test.conf"
		systemctl daemon-reload
	fi
	"$TMBRIDGE" wire release eth0 eth1 || true
}

rules() # PORTS
{
	lab_ini "ports = $1" 'check = 5061' 'check_interval = 1s' 'check_timeout = 1s'
	cp "$LAB_DIR/lb.ini" /etc/tmbridge/lb.ini
}

# Its log since it was started last.
log()
{
	journalctl -q -o cat _SYSTEMD_INVOCATION_ID="$(systemctl show -P InvocationID tmbridge)"
}

says() # PATTERN
{
	log | grep -E "$1"
}

# A line of the log with these fields.
has_fields() # FIELD=VALUE...
{
	journalctl -q -o json _SYSTEMD_INVOCATION_ID="$(systemctl show -P InvocationID tmbridge)" "$@" | grep .
}

rules_have() # KEY VALUE
{
	sed -i "s/^$1 = .*/$1 = $2/" /etc/tmbridge/lb.ini
}

# A property of the unit.
shows() # PROPERTY VALUE
{
	local is

	is=$(systemctl show -P "$1" tmbridge)
	[[ $is = "$2" ]] || lab_die "$1 is $is, not $2"
}

serves() # PORT
{
	in_ns client "$TOOLS/manyconns" connect -n 4 -t 10 "$VIP" "$1" | jq -e '.echoed == 4'
}

start()
{
	systemctl start tmbridge
	wait_until 20 says 'balancing$'
	wait_until 20 serves 5061
}

@test "systemd finds nothing wrong with the unit" {
	run systemd-analyze verify --man=no /usr/lib/systemd/system/tmbridge.service tmbridge@pair.service
	echo "$output"
	[[ $status = 0 && $output != *tmbridge*.service* ]]
}

# bats test_tags=short
@test "it starts, says so in its status, and is shut in" {
	start
	systemctl is-active tmbridge
	run systemctl status --no-pager tmbridge
	echo "$output"
	[[ $status = 0 && $output = *"active (running)"* && $output = *balancing* ]]
	pid=$(systemctl show -P MainPID tmbridge)
	[[ $(stat -c %U "/proc/$pid") = tmbridge ]]
	shows StatusText 'eth0, eth1: balancing'
	has_fields PRIORITY=6 SYSLOG_IDENTIFIER=tmbridge TMBRIDGE_WHERE='eth0, eth1'
	wait_until 20 has_fields PRIORITY=6 TMBRIDGE_SERVER=fe1
	grep -qE '^NoNewPrivs:\s+1$' "/proc/$pid/status"
	grep -qE '^Seccomp:\s+2$' "/proc/$pid/status"
	in_ns dc ping -q -c 2 -W 5 10.0.0.41
}

@test "what it keeps are two capabilities; its sockets are its groups'" {
	start
	[[ $(stat -c %U:%G:%a /run/tmbridge/eth0-eth1/control) = root:tmbridge:660 ]]
	[[ $(stat -c %U:%G:%a /run/tmbridge/eth0-eth1/status) = root:tmbridge-view:660 ]]
	pid=$(systemctl show -P MainPID tmbridge)
	grep -qE '^CapEff:\s+0000000000003000$' "/proc/$pid/status"
	grep -qE '^CapPrm:\s+0000000000003000$' "/proc/$pid/status"
	grep -qE '^CapBnd:\s+0000000000000000$' "/proc/$pid/status"
}

@test "the kernel's fast path works under the unit; stopped and started, the wire goes on" {
	rules_have fast_path kernel
	rules_have on_exit keep
	start
	[[ -d /sys/fs/bpf/tmbridge/eth0-eth1 ]]
	systemctl stop tmbridge
	shows Result success
	in_ns dc ping -q -c 2 -W 5 10.0.0.41
	start
	in_ns dc ping -q -c 2 -W 5 10.0.0.41
}

@test "with fast_path = auto it is the kernel's" {
	rules_have fast_path auto
	start
	[[ -d /sys/fs/bpf/tmbridge/eth0-eth1 ]]
	never says 'no fast path'
	in_ns dc ping -q -c 2 -W 5 10.0.0.41
}

# bats test_tags=short
@test "reload: a good file counts, and what is open stays" {
	start
	pid=$(systemctl show -P MainPID tmbridge)
	run serves 5062
	[[ $status != 0 ]]
	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n 4 -t 20 -w "$VIP" 5061 3>&-; }
	read -r -t 30 line <&"${HELD[0]}"
	rules '5061, 5062'
	systemctl reload tmbridge
	serves 5062
	echo >&"${HELD[1]}"
	read -r -t 30 line <&"${HELD[0]}"
	jq -e '.echoed == 4 and .lost == 0' <<<"$line"
	[[ $(systemctl show -P MainPID tmbridge) = "$pid" ]]
	wait_until 20 shows ActiveState active
	shows StatusText 'eth0, eth1: balancing'
}

# bats test_tags=short
@test "reload: a bad file is refused with its line, and the old rules stay" {
	start
	echo 'shedule = wlc' >>/etc/tmbridge/lb.ini
	never systemctl reload tmbridge
	wait_until 20 says "lb.ini:$(wc -l </etc/tmbridge/lb.ini):.*shedule"
	has_fields PRIORITY=3
	wait_until 20 shows ActiveState active
	[[ $(systemctl show -P StatusText tmbridge) = *'the last reload failed'* ]]
	serves 5061
}

@test "stop: it ends well, with its statistics written, and the wire is cut" {
	start
	systemctl stop tmbridge
	shows ActiveState inactive
	shows Result success
	shows ExecMainStatus 0
	stats_add_up </var/lib/tmbridge/stats.json
	never in_ns dc ping -q -c 1 -W 1 10.0.0.41
}

# bats test_tags=short
@test "a bad file at start: it fails with status 2 and isn't tried again" {
	echo 'shedule = wlc' >>/etc/tmbridge/lb.ini
	systemctl start tmbridge || true
	wait_until 20 systemctl is-failed tmbridge
	sleep 3
	shows ActiveState failed
	shows ExecMainStatus 2
	shows NRestarts 0
}

# bats test_tags=short
@test "killed, it comes back by itself" {
	start
	systemctl kill -s KILL tmbridge
	wait_until 20 shows NRestarts 1
	wait_until 30 serves 5061
}

@test "standing still, it is ended by the watchdog, and comes back" {
	settings WatchdogSec=6 TimeoutAbortSec=1
	start
	sleep 8 # longer than the watchdog waits: it is fed
	shows NRestarts 0
	systemctl kill -s STOP tmbridge
	wait_until 40 shows NRestarts 1
	wait_until 40 serves 5061
}

# Of the thread that serves operators, in some of many looks.
has_nice() # NICE
{
	local stat look

	for ((look = 0; look < 500; look++)); do
		read -ra stat <"/proc/$pid/task/$pid/stat"
		[[ ${stat[18]} != "$1" ]] || return 0
	done
	return 1
}

@test "lists of flows are made at the lowest priority, all else at its own" {
	printf '%s\n' '[farm crowd]' 'vip = 10.0.0.45' 'ports = 5061' '[server nobody]' 'farm = crowd' 'address = 10.0.0.61' \
		"mac = 02:00:00:00:00:42" >>/etc/tmbridge/lb.ini
	start
	pid=$(systemctl show -P MainPID tmbridge)
	grep -E '^Max nice priority +20 +20 ' "/proc/$pid/limits"
	grep -E '^Max realtime priority +1 +1 ' "/proc/$pid/limits"
	"$TOOLS/crowd" client/eth0 fe2/eth0 02:00:00:00:00:01 10.0.0.45 5061 1 8000
	lab_spawn lists tmb bash -c 'while "$0" flows >/dev/null; do :; done' "$TMBRIDGE"
	wait_until 20 has_nice 19
	lab_kill lists
	wait_until 20 never has_nice 19
	has_nice 0
}

@test "logrotate: the records go on in a new file" {
	sed -i "s|^check = .*|&\nconnlog = /var/log/tmbridge/conn.log|" /etc/tmbridge/lb.ini
	start
	cp /usr/share/doc/tmbridge/logrotate /etc/logrotate.d/tmbridge
	serves 5061
	wait_until 20 test -s /var/log/tmbridge/conn.log
	logrotate -f /etc/logrotate.d/tmbridge
	wait_until 20 says reloaded
	test -s /var/log/tmbridge/conn.log.1
	serves 5061
	wait_until 20 test -s /var/log/tmbridge/conn.log
	[[ $(stat -c %U /var/log/tmbridge/conn.log) = tmbridge ]]
}

@test "one of several pairs" {
	cp /etc/tmbridge/lb.ini /etc/tmbridge/pair.ini
	systemctl start tmbridge@pair
	wait_until 20 serves 5061
	systemctl stop tmbridge@pair
	stats_add_up </var/lib/tmbridge/pair/stats.json
	never systemctl is-failed tmbridge@pair
}

# Connections that are open outlive it: the fast path carries them while nobody runs, and the next one goes on.
hold()
{
	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n 4 -t 60 -w "$VIP" 5061 3>&-; }
	read -r -t 90 line <&"${HELD[0]}"
	echo "$line"
	jq -e '.connected == 4' <<<"$line"
}

held_answer()
{
	echo >&"${HELD[1]}"
	read -r -t 90 line <&"${HELD[0]}"
	echo "$line"
	jq -e '.echoed == 4 and .lost == 0' <<<"$line"
}

@test "a restart loses no connection, with the fast path" {
	rules_have fast_path kernel
	rules_have on_exit keep
	start
	hold
	systemctl restart tmbridge
	serves 5061
	held_answer
}

@test "the console, under its unit" {
	start
	systemctl start tmbridge-console
	curl -sS -m 20 http://127.0.0.1:8642/metrics | grep '^tmbridge_server_up{farm="pool",server="fe1"} 1'
	[[ $(stat -c %U "/proc/$(systemctl show -P MainPID tmbridge-console)") = tmbridge-console ]]
	curl -sS -m 20 -o /dev/null -w '%{http_code}' -H 'Host: evil' http://127.0.0.1:8642/api/status | grep -x 421
	systemctl stop tmbridge-console
}

# Last, as nothing is there of tmbridge after it.
@test "the package: installed, upgraded with flows going on, removed, purged" {
	[[ -n $(ls /tmbridge/.build/deb/*.deb) ]]
	dpkg -i /tmbridge/.build/deb/tmbridge_*.deb /tmbridge/.build/deb/tmbridge-console_*.deb
	getent passwd tmbridge tmbridge-console
	getent group tmbridge-view
	shows UnitFileState disabled
	rules_have fast_path kernel
	rules_have on_exit keep
	start
	pid=$(systemctl show -P MainPID tmbridge)
	systemctl start tmbridge-console
	console=$(systemctl show -P MainPID tmbridge-console)
	hold
	touch /lib/systemd/system/tmbridge.service # as if it were another one
	dpkg -i /tmbridge/.build/deb/tmbridge_*.deb /tmbridge/.build/deb/tmbridge-console_*.deb
	shows NeedDaemonReload no
	[[ $(systemctl show -P MainPID tmbridge) != "$pid" ]]
	[[ $(systemctl show -P MainPID tmbridge-console) != @(0|"$console") ]]
	wait_until 20 serves 5061
	held_answer
	pid=$(systemctl show -P MainPID tmbridge)
	echo 'shedule = wlc' >>/etc/tmbridge/lb.ini
	dpkg -i /tmbridge/.build/deb/tmbridge_*.deb # nor does an upgrade restart into a bad file
	shows MainPID "$pid"
	serves 5061
	dpkg -r tmbridge tmbridge-console
	never systemctl is-active tmbridge tmbridge-console
	[[ ! -e /usr/sbin/tmbridge && ! -e /sys/fs/bpf/tmbridge/eth0-eth1 && -e /etc/tmbridge/lb.ini ]]
	never in_ns dc ping -q -c 1 -W 1 10.0.0.41
	dpkg -P tmbridge tmbridge-console
	[[ ! -e /var/lib/tmbridge && ! -e /var/log/tmbridge && -e /etc/tmbridge/lb.ini ]]
}
