# Shut in: whom it runs as, what it still can do, and what it can't.

source "$BATS_TEST_DIRNAME/../lab.sh"

# Nobody may do there what he likes, but tmbridge has no business there.
ELSEWHERE=/run/elsewhere

setup_file()
{
	lab_up
	server_tcp fe1 5061
	server_tcp fe2 5061
	mkdir "$LAB_DIR/logs" "$ELSEWHERE"
	chown "$LAB_USER" "$LAB_DIR/logs" "$ELSEWHERE"
}

setup()
{
	lab_ini 'ports = 5061' 'bridge.workers = 2' "connlog = $LAB_DIR/logs/conn.log"
	chmod 644 "$LAB_DIR/lb.ini"
	rm -f "$LAB_DIR"/logs/*
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
	umount /etc/passwd 2>/dev/null || true
}

pid()
{
	cat "$LAB_DIR/tmbridge.pid"
}

# Says that in the status of every thread, of which there are at least four, KEY has VALUE.
threads_have() # KEY VALUE
{
	awk -v key="$1:" -v value=" $2" '
		$1 == key {
			n++
			$1 = ""
			if ($0 != value)
				bad = FILENAME ": " key $0
		}
		END {
			print n " threads; " (bad ? bad ", not" value : "all well")
			exit bad || n < 4
		}' /proc/"$(pid)"/task/*/status
}

# CAP_NET_ADMIN and CAP_NET_RAW; with the fast path CAP_BPF; without it CAP_SYS_NICE, where there are several processors and RLIMIT_RTPRIO
# can't be raised
LEFT=0000000000003000
if [[ $FAST_PATH != off ]]; then
	LEFT=0000008000003000
elif [[ $(nproc) -gt 1 ]] && printf '6.5\n%s\n' "$(uname -r)" | sort -VC && ! (ulimit -r 1) 2>/dev/null; then
	LEFT=0000000000803000
fi

threads_are_shut_in() # UID
{
	local set

	threads_have Uid "$1 $1 $1 $1"
	for set in CapPrm CapEff; do
		threads_have $set $LEFT
	done
	for set in CapInh CapBnd CapAmb; do
		threads_have $set 0000000000000000
	done
	threads_have NoNewPrivs 1
	threads_have Seccomp 2
}

connect() # NUMBER
{
	in_ns client "$TOOLS/manyconns" connect -n "$1" -t 20 "$VIP" 5061 |
		jq -e --argjson n "$1" '.echoed == $n'
}

# In one line, which begins with "tmbridge: " and then is as the pattern says.
fails() # STATUS PATTERN ARGUMENT...
{
	run in_ns tmb timeout 60 "$TMBRIDGE" eth0 eth1 "${@:3}"
	echo "$output"
	[[ $status = "$1" && ${#lines[@]} = 1 && ${lines[0]} = "tmbridge: "$2 ]]
}

log_says() # TEXT
{
	grep -qF "$1" "$LAB_DIR/tmbridge.err"
}

reload()
{
	: >"$LAB_DIR/tmbridge.err"
	lab_signal tmbridge HUP
	wait_until 10 log_says reloaded
}

lines_are() # NUMBER
{
	[[ $(wc -l <"$LAB_DIR/logs/conn.log") = "$1" ]]
}

@test "all threads run as nobody, with no more capabilities than it needs, shut in" {
	tmbridge_start "$LAB_DIR/lb.ini"
	threads_are_shut_in "$(id -u "$LAB_USER")"
	threads_have Groups "$(id -g "$LAB_USER")"
	tmbridge_stop
}

@test "with the kernel's fast path it may load programs as well, for filters at a reload" {
	sed 's/^fast_path = .*/fast_path = kernel/' "$LAB_DIR/lb.ini" >"$LAB_DIR/fast.ini"
	tmbridge_start "$LAB_DIR/fast.ini"
	threads_have CapEff 0000008000003000
	threads_have Seccomp 2
	tmbridge_stop
}

@test "reload, statistics and log rotation go on working" {
	tmbridge_start "$LAB_DIR/lb.ini"
	connect 4
	wait_until 5 lines_are 4
	# as an editor does it: another file in its place
	sed '/^\[server fe2\]/,$d' "$LAB_DIR/lb.ini" >"$LAB_DIR/lb.ini.edited"
	mv "$LAB_DIR/lb.ini.edited" "$LAB_DIR/lb.ini"
	mv "$LAB_DIR/logs/conn.log" "$LAB_DIR/logs/conn.log.1"
	reload
	connect 4
	wait_until 5 lines_are 4
	[[ $(jq -s -c 'map(.server_name) | unique' "$LAB_DIR/logs/conn.log") = '["fe1"]' ]]
	[[ $(wc -l <"$LAB_DIR/logs/conn.log.1") = 4 ]]
	threads_are_shut_in "$(id -u "$LAB_USER")" # the new log's thread as well
	tmbridge_counts '.connlog' '{"written":8,"lost":0}'
	tmbridge_counts '[.farms[0].servers[] | select(.removed | not) | .name]' '["fe1"]'
	tmbridge_stop
}

@test "statistics through a symbolic link leave the link, and reach its target" {
	touch "$LAB_DIR/logs/linked.json"
	chown "$LAB_USER" "$LAB_DIR/logs/linked.json"
	ln -s logs/linked.json "$LAB_DIR/link.json"
	tmbridge_start "$LAB_DIR/lb.ini" -s "$LAB_DIR/link.json"
	threads_are_shut_in "$(id -u "$LAB_USER")"
	lab_signal tmbridge USR1
	wait_until 5 grep -q frames "$LAB_DIR/logs/linked.json"
	[[ -L $LAB_DIR/link.json ]]
	tmbridge_stop
}

@test "a directory for the statistics is refused at the start" {
	mkdir -p "$LAB_DIR/directory"
	chown "$LAB_USER" "$LAB_DIR/directory"
	run in_ns tmb timeout 60 "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/directory"
	echo "$output"
	[[ $status = 1 && ${lines[-1]} = *"$LAB_DIR/directory: user "*" can't write it: Is a directory" ]]
}

have_come()
{
	lab_drain "$reader" >>"$LAB_DIR/piped"
	jq -e .frames "$LAB_DIR/piped"
}

@test "statistics to a pipe: nobody is waited for, a reader gets all" {
	local reader

	mkfifo "$LAB_DIR/stats.pipe"
	chown "$LAB_USER" "$LAB_DIR/stats.pipe"
	tmbridge_start "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.pipe"
	lab_signal tmbridge USR1
	wait_until 5 log_says "$LAB_DIR/stats.pipe: statistics: nobody reads this pipe"
	reload
	exec {reader}<>"$LAB_DIR/stats.pipe"
	lab_signal tmbridge USR1
	wait_until 15 have_come
	tmbridge_stop
	exec {reader}<&-
}

@test "what a crash has left beside the statistics, somebody else's, is removed" {
	touch "$LAB_DIR/stats.json.new"
	chmod 600 "$LAB_DIR/stats.json.new"
	tmbridge_start "$LAB_DIR/lb.ini"
	tmbridge_stats >/dev/null
	[[ ! -e $LAB_DIR/stats.json.new ]]
	tmbridge_stop
}

@test "a log in another directory is refused by a reload, and changes nothing" {
	tmbridge_start "$LAB_DIR/lb.ini"
	sed -i "s|= .*/conn.log|= $ELSEWHERE/conn.log|; s|5061|5061, 5062|" "$LAB_DIR/lb.ini"
	reload
	log_says "$ELSEWHERE/conn.log: connection log: Permission denied"
	log_says "not reloaded: nothing has changed (a log in another directory takes a restart)"
	[[ ! -e $ELSEWHERE/conn.log ]]
	connect 4
	wait_until 5 test -s "$LAB_DIR/logs/conn.log"
	tmbridge_stop
}

# What it would take to get out, as arguments of tests/tools/inject.c, and what the sandbox says.
FORBIDDEN='fork vfork clone execve ptrace kill socket-inet socket-inet6 socket-unix socket-raw socket-netlink socketpair
	connect bind listen chdir=/ mkdir=DIR/made chmod=DIR/made symlink=DIR/link mount=DIR setuid unshare
	memfd_create bpf mmap-exec nice'
FILES='open=/etc/passwd open=DIR/outside write=DIR/outside write=DIR/outside.new unlink=DIR/outside'

# DIR stands for $ELSEWHERE.
calls() # CALL...
{
	printf '%s\n' "$@" | sed "s|DIR|$ELSEWHERE|"
}

has_landlock()
{
	never log_says 'no Landlock'
}

@test "the running process can't spawn, connect, bind or open any other file" {
	local thread

	echo outside >"$ELSEWHERE/outside"
	chmod 666 "$ELSEWHERE/outside"
	# Without the sandbox all of it works.
	[[ $(uname -m) = x86_64 ]] || skip "tests/tools/inject.c is for x86-64"
	run in_ns dc "$TOOLS/inject" self $(calls $FORBIDDEN $FILES)
	echo "$output"
	[[ $status = 0 && ${#lines[@]} = $(wc -w <<<"$FORBIDDEN $FILES") ]]
	[[ -z $(grep -v ' ok$' <<<"$output") ]]
	rm -rf $ELSEWHERE/{made,link,outside.new}
	echo outside >"$ELSEWHERE/outside"
	chmod 666 "$ELSEWHERE/outside"

	tmbridge_start "$LAB_DIR/lb.ini"
	for thread in /proc/"$(pid)"/task/*; do
		# It is this process, and what it needs it can; by another C library, whose sendmmsg() sends one at a time, as well.
		run "$TOOLS/inject" "${thread##*/}" getpid sendmsg "open=$LAB_DIR/lb.ini" "write=$LAB_DIR/logs/new" \
			"write=$LAB_DIR/stats.json.new" "unlink=$LAB_DIR/stats.json.new"
		echo "$output"
		[[ $output = "getpid $(awk '/^NSpid:/ { print $NF }' "$thread/../../status")
sendmsg EBADF
open ok
write ok
write ok
unlink ok" ]]
		run "$TOOLS/inject" "${thread##*/}" $(calls $FORBIDDEN)
		echo "$output"
		[[ $status = 0 && ${#lines[@]} = $(wc -w <<<"$FORBIDDEN") ]]
		[[ -z $(grep -v ' EPERM$' <<<"$output") ]]
		has_landlock || continue
		run "$TOOLS/inject" "${thread##*/}" $(calls $FILES)
		echo "$output"
		[[ $status = 0 && ${#lines[@]} = $(wc -w <<<"$FILES") ]]
		[[ -z $(grep -v ' EACCES$' <<<"$output") ]]
	done
	[[ $(ls "$ELSEWHERE") = outside ]]
	connect 4
	tmbridge_stop
}

@test "the sockets are root's and a group's, and made in no place that somebody else has led them to" {
	local run=/run/tmbridge/eth0-eth1

	cp "$LAB_DIR/lb.ini" "$LAB_DIR/"'"lb".ini'
	tmbridge_start "$LAB_DIR/"'"lb".ini'
	"$TMBRIDGE" version | grep -F '"lb".ini' # what a name has in it breaks no answer
	[[ $(stat -c %F,%a,%u "$run/control" "$run/status") = $'socket,660,0\nsocket,660,0' ]]
	lab_kill tmbridge
	rm -r "$run"
	ln -s "$ELSEWHERE" "$run"
	touch "$ELSEWHERE/status"
	tmbridge_start "$LAB_DIR/lb.ini"
	rm "$run"
	grep "$run: Not a directory: nobody can ask" "$LAB_DIR/tmbridge.err"
	[[ -f $ELSEWHERE/status ]]
	rm "$ELSEWHERE/status"
}

@test "--user names another user" {
	chown daemon "$LAB_DIR/logs" "$LAB_DIR"
	tmbridge_start "$LAB_DIR/lb.ini" --user daemon
	chown "$LAB_USER" "$LAB_DIR/logs" "$LAB_DIR"
	threads_are_shut_in "$(id -u daemon)"
	[[ $(stat -c %U "$LAB_DIR/logs/conn.log") = daemon ]]
	tmbridge_stop
}

@test "--user root stays root, with no more capabilities than it needs" {
	chown root "$LAB_DIR/logs" "$LAB_DIR"
	tmbridge_start "$LAB_DIR/lb.ini" --user root
	threads_are_shut_in 0
	tmbridge_stats >/dev/null
	chown "$LAB_USER" "$LAB_DIR/logs" "$LAB_DIR"
	tmbridge_stop
}

@test "a user tmbridge is the default" {
	cp /etc/passwd "$LAB_DIR/passwd"
	echo 'tmbridge:x:990:65534::/:/bin/false' >>"$LAB_DIR/passwd"
	mount --bind "$LAB_DIR/passwd" /etc/passwd
	chown 990 "$LAB_DIR/logs" "$LAB_DIR"
	tmbridge_start "$LAB_DIR/lb.ini"
	threads_are_shut_in 990
	chown "$LAB_USER" "$LAB_DIR/logs" "$LAB_DIR"
	tmbridge_stop
}

@test "a user who can't use the files is refused, with the file's name" {
	fails 2 'command line: --user nosuch: no such user' -f "$LAB_DIR/lb.ini" --user nosuch
	chmod 600 "$LAB_DIR/lb.ini"
	fails 1 "$LAB_DIR/lb.ini: user nobody can't read it: Permission denied" -f "$LAB_DIR/lb.ini" \
		--user nobody
	chmod 644 "$LAB_DIR/lb.ini"
	fails 1 "/stats.json: user nobody can't write in its directory: Permission denied" \
		-f "$LAB_DIR/lb.ini" -s /stats.json --user nobody
	chown root "$LAB_DIR/logs"
	fails 1 "$LAB_DIR/logs/conn.log: user nobody can't write in its directory: Permission denied" \
		-f "$LAB_DIR/lb.ini" --user nobody
	touch "$LAB_DIR/logs/conn.log"
	fails 1 "$LAB_DIR/logs/conn.log: user nobody can't write it: Permission denied" \
		-f "$LAB_DIR/lb.ini" --user nobody
	chown "$LAB_USER" "$LAB_DIR/logs"
	mkdir -m 1777 "$LAB_DIR/sticky"
	touch "$LAB_DIR/sticky/stats.json"
	fails 1 "$LAB_DIR/sticky/stats.json: user nobody can't replace it: Operation not permitted" \
		-f "$LAB_DIR/lb.ini" -s "$LAB_DIR/sticky/stats.json" --user nobody
}

@test "a log that a reload couldn't make anew is warned of" {
	touch "$LAB_DIR/logs/conn.log"
	chown "$LAB_USER" "$LAB_DIR/logs/conn.log"
	tmbridge_start "$LAB_DIR/lb.ini"
	never log_says "a rotation must make"
	tmbridge_stop
	chown root "$LAB_DIR/logs"
	tmbridge_start "$LAB_DIR/lb.ini"
	chown "$LAB_USER" "$LAB_DIR/logs"
	log_says "$LAB_DIR/logs/conn.log: user nobody can't write in its directory: a rotation must make the file anew itself"
	threads_are_shut_in "$(id -u "$LAB_USER")"
	tmbridge_stop
}

@test "without --user it then stays root, with a warning, and reloads" {
	chmod 600 "$LAB_DIR/lb.ini"
	chown root "$LAB_DIR/logs" "$LAB_DIR"
	tmbridge_start "$LAB_DIR/lb.ini"
	log_says "$LAB_DIR/lb.ini: user nobody can't read it: stays root, though without its powers"
	threads_are_shut_in 0
	reload
	connect 4
	wait_until 5 test -s "$LAB_DIR/logs/conn.log"
	tmbridge_stats >/dev/null
	chown "$LAB_USER" "$LAB_DIR/logs" "$LAB_DIR"
	tmbridge_stop
}

@test "somebody else than root gives up what was lent and isn't needed" {
	local lent=(setpriv --reuid daemon --regid daemon --clear-groups --inh-caps=+net_raw,+net_admin
		--ambient-caps=+net_raw,+net_admin)

	lab_ini 'ports = 5061' bridge.fast_path=off "connlog = $LAB_DIR/logs/conn.log" # that takes more than is lent
	chown daemon "$LAB_DIR/logs" "$LAB_DIR"
	run in_ns tmb timeout 60 "${lent[@]}" "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" --user nobody
	echo "$output"
	[[ $status = 1 && $output = *"tmbridge: --user nobody: only root can become another user" ]]
	TMBRIDGE="env ${lent[*]} $TMBRIDGE"
	lab_spawn tmbridge tmb $TMBRIDGE eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 20 tmbridge_is_up
	threads_have Uid "$(printf "$(id -u daemon) %.0s" 1 2 3)$(id -u daemon)"
	threads_have CapEff 0000000000003000
	threads_have CapPrm 0000000000003000
	threads_have CapAmb 0000000000000000
	threads_have Seccomp 2
	reload
	connect 4
	tmbridge_stats >/dev/null
	chown "$LAB_USER" "$LAB_DIR/logs" "$LAB_DIR"
	tmbridge_stop
}
