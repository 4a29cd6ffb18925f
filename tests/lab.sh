#!/bin/bash
#
# The lab: a switch, two Front Ends and tmbridge between them, in network namespaces.
#
#	client 10.0.0.100 ──┐                                              ┌── fe1 10.0.0.41
#	                    ├─ switch ── eth0 [tmb: tmbridge] eth1 ── segment ┤
#	dc     10.0.0.10 ───┘                                              └── fe2 10.0.0.42
#
# Run as a program, `tests/lab.sh COMMAND...` runs COMMAND where a lab can be built: in network,
# mount and process namespaces of its own, with a tmpfs on /run that holds temporary files too, and a BPF file system. So
# all that it starts, mounts or writes vanishes with it, however it ends, and nothing of the host is
# touched. Sourced, it is a library of functions for such a command.
#
# switch and segment are kernel bridges without addresses. Hosts have 10.0.0.N/24 and fd00::N/64 and
# the MAC address 02:00:00:00:00:NN; tmb's interfaces have none but 02:00:00:00:00:01 and :02.
set -euo pipefail

LAB_ROOT=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
VARIANT=${VARIANT:-release}
TMBRIDGE=${TMBRIDGE:-$LAB_ROOT/.build/$VARIANT/tmbridge}
[[ $TMBRIDGE = /* ]] || TMBRIDGE=$PWD/$TMBRIDGE
CONSOLE=${CONSOLE:-$LAB_ROOT/.build/$VARIANT/tmbridge-console}
TOOLS=$LAB_ROOT/.build/release/tools
LAB_DIR=/run/lab
LAB_CONNECTIONS=10000 # in the flow table; to lay out one of 1,000,000, the default, takes most of a start
VIP=10.0.0.40 VIP6=fd00::40
LAB_PATIENCE=${LAB_PATIENCE:-1} # how many times as long to wait for what should be so, how much slower to send: for slow machines
FAST_PATH=${FAST_PATH:-off} # for all rules that don't say themselves
WORKERS=${WORKERS:-}        # likewise; empty: one
LAB_USER=$(getent passwd tmbridge >/dev/null && echo tmbridge || echo nobody) # as tmbridge itself chooses
REPORTS=${REPORTS:-}        # a file for what sanitizers report, also of processes that a test kills
export LAB_ROOT VARIANT TMBRIDGE CONSOLE TOOLS LAB_DIR LAB_CONNECTIONS LAB_PATIENCE VIP VIP6 FAST_PATH WORKERS LAB_USER REPORTS
# Shut in, it can't start a program that finds names: addr2line -fie .build/VARIANT/tmbridge ADDRESS does.
export ASAN_OPTIONS=detect_leaks=1:symbolize=0 UBSAN_OPTIONS=print_stacktrace=1:symbolize=0 TSAN_OPTIONS=symbolize=0

# Process 1 of the lab's process namespace: with its end the kernel kills all others in there. It
# has to handle signals that a process 1 would else be immune to.
lab_init() # COMMAND...
{
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	mount -t tmpfs -o mode=755 lab /run
	mount -t bpf bpf /sys/fs/bpf
	mkdir -p /run/netns /run/tmp "$LAB_DIR"
	ln -s /proc/1/ns/net /run/netns/lab
	chown "$LAB_USER" "$LAB_DIR" # whom tmbridge becomes, to write its files there
	export TMPDIR=/run/tmp
	"$@"
}

# Replaces the shell. The kernel kills the lab when the caller dies, even by SIGKILL.
lab_enter() # COMMAND...
{
	LAB_HOST_NET=$(readlink /proc/self/ns/net)
	export LAB_HOST_NET
	exec setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child --mount-proc \
		"$LAB_ROOT/tests/lab.sh" --init "$@"
}

lab_die()
{
	echo "lab: $*" >&2
	return 1
}

# Fails if the command succeeds, which it must not. (A shell that ends at a failure doesn't do so at "! COMMAND".)
never() # COMMAND...
{
	if "$@" >&2; then
		lab_die "it succeeded: $*"
	fi
}

# Fails if the condition doesn't come true, and shows what the command says then. What isn't so at once is
# looked at less often, as each look costs several processes. SECONDS are what it may take where little else is to be done; a
# machine that stands still in between is given more, and a look after that. How fast something is, is for clocks to say.
wait_until() # SECONDS COMMAND...
{
	local end=$((SECONDS + 3 * $1 * LAB_PATIENCE + 10)) pause=0.03 began=$SECONDS

	shift
	until "$@" >/dev/null 2>&1; do
		if ((began >= end)); then
			"$@" >&2 || true
			lab_die "still not so: $*" || return 1
		fi
		sleep "$pause"
		pause=0.15
		began=$SECONDS
	done
}

in_ns() # NAMESPACE COMMAND...
{
	local ns=$1

	shift
	nsenter --net="/run/netns/$ns" "$@"
}

# For the namespace's own stack only; settings that the kernel doesn't have are left out.
lab_sysctl() # NAMESPACE KEY=VALUE...
{
	in_ns "$1" sysctl -qe "${@:2}" 2>/dev/null || true
}

lab_ns() # NAMESPACE IPV6(on|off)
{
	local ipv6=(net.ipv6.conf.{all,default}.disable_ipv6=1)

	[[ $2 = off ]] || ipv6=(net.ipv6.conf.{all,default}.{accept_dad,router_solicitations,accept_ra}=0)
	ip netns add "$1"
	lab_sysctl "$1" "${ipv6[@]}" net.bridge.bridge-nf-call-{iptables,ip6tables,arptables}=0
	ip -n "$1" link set lo up
}

lab_cable() # NAMESPACE INTERFACE MAC NAMESPACE INTERFACE
{
	ip -n "$1" link add "$2" address "$3" mtu "$LAB_MTU" up type veth \
		peer name "$5" mtu "$LAB_MTU" netns "$4"
	ip -n "$4" link set "$5" up
	if [[ $LAB_OFFLOADS = off ]]; then
		in_ns "$1" ethtool -K "$2" tx off rx off gso off tso off gro off >/dev/null
		in_ns "$4" ethtool -K "$5" tx off rx off gso off tso off gro off >/dev/null
	fi
}

lab_bridge() # NAMESPACE
{
	lab_ns "$1" off
	ip -n "$1" link add br0 mtu "$LAB_MTU" up type bridge stp_state 0 forward_delay 0 mcast_snooping 0
}

lab_host() # NAMESPACE BRIDGE NUMBER
{
	lab_ns "$1" "$LAB_IPV6"
	lab_cable "$1" eth0 "02:00:00:00:$(printf %02d:%02d $(($3 / 100)) $(($3 % 100)))" "$2" "$1"
	ip -n "$2" link set "$1" master br0
	{
		echo "addr add 10.0.0.$3/24 dev eth0"
		[[ $LAB_IPV6 = off ]] || echo "addr add fd00::$3/64 dev eth0 nodad"
	} | ip -n "$1" -b -
	lab_sysctl "$1" net.ipv4.ip_local_port_range="1024 65535" net.core.somaxconn=65535 \
		net.ipv4.tcp_max_syn_backlog=65535 net.ipv4.tcp_max_tw_buckets=262144
}

# Puts a host behind tags, the outer one first: see tests/tools/vlan.bpf.c.
lab_tag() # NAMESPACE TPID:ID [TPID:ID]
{
	local object="/run/vlan-${*:2}.o" inner=()

	[[ $# -lt 3 ]] || inner=(-DINNER_TPID="${3%:*}" -DINNER_ID="${3#*:}")
	[[ -e $object ]] ||
		clang -O2 -target bpf -I"/usr/include/$(gcc -print-multiarch)" -DOUTER_TPID="${2%:*}" -DOUTER_ID="${2#*:}" \
			"${inner[@]}" -c -o "$object" "$LAB_ROOT/tests/tools/vlan.bpf.c"
	in_ns "$1" tc qdisc add dev eth0 clsact
	in_ns "$1" tc filter add dev eth0 egress bpf direct-action object-file "$object" section tc/push
	in_ns "$1" tc filter add dev eth0 ingress bpf direct-action object-file "$object" section tc/pop
	ip -n "$1" link set eth0 mtu 1400 # for the tags to fit
}

# addresses: of the client, 10.0.0.100 and following.
lab_up() # [mtu=N] [offloads=off] [ipv6=off] [addresses=N]
{
	local option i

	[[ -n ${LAB_HOST_NET:-} && $(readlink /proc/self/ns/net) != "$LAB_HOST_NET" ]] ||
		lab_die "start this by tests/run.sh, or by tests/lab.sh COMMAND" || return 1
	export LAB_MTU=1500 LAB_OFFLOADS=on LAB_IPV6=on LAB_ADDRESSES=1
	for option; do
		case $option in
		mtu=*) LAB_MTU=${option#*=} ;;
		offloads=*) LAB_OFFLOADS=${option#*=} ;;
		ipv6=*) LAB_IPV6=${option#*=} ;;
		addresses=*) LAB_ADDRESSES=${option#*=} ;;
		*) lab_die "no such option: $option" || return 1 ;;
		esac
	done
	lab_bridge switch
	lab_bridge segment
	lab_ns tmb off
	lab_cable tmb eth0 02:00:00:00:00:01 switch tmb
	lab_cable tmb eth1 02:00:00:00:00:02 segment tmb
	ip -n switch link set tmb master br0
	ip -n segment link set tmb master br0
	lab_host client switch 100
	lab_host dc switch 10
	lab_host fe1 segment 41
	lab_host fe2 segment 42
	for ((i = 1; i < LAB_ADDRESSES; i++)); do
		echo "addr add 10.0.0.$((100 + i))/24 dev eth0"
	done | ip -n client -b -
}

# A host knows for good where another one is: who looks for it again, as all do now and then, may lose what is none of the wire's.
lab_knows() # NAMESPACE ADDRESS NAMESPACE-OF-ADDRESS
{
	local mac

	mac=$(ip -n "$3" -j link show eth0 | jq -r '.[0].address')
	ip -n "$1" neigh replace "$2" lladdr "$mac" nud permanent dev eth0
}

# The kernel's bridge in tmbridge's place.
lab_plain_wire()
{
	ip -n tmb link add br0 mtu "$LAB_MTU" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	ip -n tmb link set eth0 master br0
	ip -n tmb link set eth1 master br0
	ip -n tmb link set br0 up
}

lab_down()
{
	lab_kill_all
	printf 'netns del %s\n' client dc fe1 fe2 segment switch tmb | ip -force -b - 2>/dev/null || true
	rm -rf "${LAB_DIR:?}"/*
}

# Processes in the background. They let go of all descriptors, as bats waits until its own are closed.
# Here and below, what tests do most often starts no more processes than it must: they are what it costs.

lab_close_descriptors()
{
	local fd

	for fd in /proc/"$BASHPID"/fd/*; do
		fd=${fd##*/}
		((fd <= 2 || fd == 255)) || eval "exec $fd>&-"
	done
}

# NAME names the job: its output is in $LAB_DIR/NAME.out and .err, its exit status, once it has
# ended, in NAME.status. The namespace "lab" is the lab's own, in which the tests run.
lab_spawn() # NAME NAMESPACE COMMAND...
{
	local name=$1 ns=$2

	shift 2
	[[ ! -s $LAB_DIR/$name.pid || -s $LAB_DIR/$name.status ]] || lab_die "$name hasn't ended, and can't be started" || return 1
	# nor may what an earlier one of the name has said be taken for this one's, which opens its files when its turn comes
	: >"$LAB_DIR/$name.pid" >"$LAB_DIR/$name.status" >"$LAB_DIR/$name.out" >"$LAB_DIR/$name.err"
	(
		set +e
		lab_close_descriptors
		# A shell's background jobs ignore SIGINT, and would pass that on.
		nsenter --net="/run/netns/$ns" env --default-signal=INT,QUIT "$@" \
			>"$LAB_DIR/$name.out" 2>"$LAB_DIR/$name.err" </dev/null &
		echo $! >"$LAB_DIR/$name.pid"
		wait $!
		echo $? >"$LAB_DIR/$name.status.new"
		[[ -z $REPORTS ]] || grep -A 40 'Sanitizer:' "$LAB_DIR/$name.err" >>"$REPORTS"
		mv "$LAB_DIR/$name.status.new" "$LAB_DIR/$name.status"
	) >/dev/null 2>&1 &
	wait_until 15 test -s "$LAB_DIR/$name.pid"
}

lab_signal() # NAME SIGNAL
{
	local pid

	read -r pid <"$LAB_DIR/$1.pid"
	kill -"$2" "$pid"
}

# As grep -q, which ends before it has read all, by which the command that it reads from may end with SIGPIPE. (So does head; sed -n 1p doesn't.)
seek() # GREP-ARGUMENT...
{
	grep "$@" >/dev/null
}

# Prints what is in a pipe by now.
lab_drain() # FD
{
	dd bs=64k iflag=nonblock status=none <&"$1" 2>/dev/null || true
}

# Prints the exit status.
lab_wait() # NAME SECONDS
{
	wait_until "$2" test -s "$LAB_DIR/$1.status"
	cat "$LAB_DIR/$1.status"
}

# A capture has all that was sent before, as it has what is sent now: a datagram to that address, which its filter must let pass.
is_all_captured() # CAPTURE NAMESPACE ADDRESS
{
	in_ns "$2" bash -c "echo >/dev/udp/$3/9" || true
	tcpdump -r "$1" udp port 9 2>/dev/null | seek .
}

# All echo requests up to the last one that was answered have been, but for UNREAD of them, and they are at least COUNT. (As lost, ping itself
# also counts what is on its way when it ends, and it ends as early as twice the longest round trip after the last request: with -w, it goes on
# until COUNT answers have come.)
pings_answered() # OUTPUT COUNT [UNREAD]
{
	sed -nE 's/.* icmp_seq=([0-9]+) .*time=.*/\1/p' "$1" | sort -nu | awk -v least="$2" -v unread="${3:-0}" '$1 > last + 1 && length(lost) < 200 { lost = lost " " last + 1 "-" $1 - 1 } { last = $1 } END {
		printf "pings: %d of the first %d answered%s; unread: %d\n", NR, last, lost ? ", not" lost : "", unread
		exit !(last - NR <= unread && NR >= least)
	}' >&2
}

# How many answers a ping that runs had no room for in its socket, as it didn't get a processor for so long.
pings_unread() # NAMESPACE
{
	in_ns "$1" awk 'FNR > 1 { n += $NF } END { print n + 0 }' /proc/net/raw /proc/net/icmp
}

lab_kill() # NAME
{
	[[ -s $LAB_DIR/$1.status ]] || lab_signal "$1" KILL 2>/dev/null || true
	lab_wait "$1" 5 >/dev/null
}

lab_kill_all()
{
	local pid

	for pid in "$LAB_DIR"/*.pid; do
		pid=${pid##*/}
		[[ ! -e $LAB_DIR/$pid ]] || lab_kill "${pid%.pid}"
	done
}

# Servers

# Answers on each PORT with "NAMESPACE PEER SELF": see tests/tools/manyconns.c.
server_tcp() # NAMESPACE PORT...
{
	lab_spawn "$1-tcp" "$1" "$TOOLS/manyconns" serve "$@"
	wait_until 20 server_listens "$1" "$2"
}

# The certificate's name is the server's.
server_tls() # NAMESPACE PORT
{
	local pair=$LAB_DIR/$1

	[[ -s $pair.key ]] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj "/CN=$1" -days 2 -keyout "$pair.key" -out "$pair.crt" 2>/dev/null
	lab_spawn "$1-tls-$2" "$1" openssl s_server -accept "$2" -www -quiet \
		-key "$pair.key" -cert "$pair.crt"
	wait_until 20 server_listens "$1" "$2"
}

# Serves the files in $LAB_DIR/www, and the server's name as /name; takes files for /up/.
server_http() # NAMESPACE PORT
{
	mkdir -p "$LAB_DIR/www/up" /run/nginx
	cat >"$LAB_DIR/$1-nginx.conf" <<-END
		daemon off;
		user root;
		pid /run/nginx/$1.pid;
		error_log stderr;
		events { worker_connections 4096; }
		http {
			access_log off;
			sendfile on;
			client_body_temp_path /run/nginx/$1-body;
			proxy_temp_path /run/nginx/$1-proxy;
			fastcgi_temp_path /run/nginx/$1-fastcgi;
			uwsgi_temp_path /run/nginx/$1-uwsgi;
			scgi_temp_path /run/nginx/$1-scgi;
			server {
				listen $2 backlog=65535;
				listen [::]:$2 backlog=65535;
				root $LAB_DIR/www;
				location /up/ { dav_methods PUT; client_max_body_size 0; }
				location = /name { return 200 "$1 \$remote_addr:\$remote_port\n"; }
			}
		}
	END
	lab_spawn "$1-http" "$1" nginx -e stderr -c "$LAB_DIR/$1-nginx.conf"
	wait_until 20 server_listens "$1" "$2"
}

# Before a flood: of thousands that are half open the timers expire together, and their SYN-ACKs sent again don't
# fit what the kernel queues of received frames, 1000 for each processor, of whichever lab on this machine.
servers_expect_floods()
{
	lab_sysctl fe1 net.ipv4.tcp_synack_retries=0
	lab_sysctl fe2 net.ipv4.tcp_synack_retries=0
}

server_listens() # NAMESPACE PORT
{
	in_ns "$1" ss -Hltn "sport = :$2" | seek .
}

# A transfer that is under way for as long as a test wants: who reads it takes 128 KiB ten times a second, until he is to take all.
transfer_begins() # NAMESPACE URL
{
	rm -f "$LAB_DIR"/transfer.{pipe,go}
	mkfifo "$LAB_DIR/transfer.pipe"
	lab_spawn transfer "$1" curl -sSf -m 600 -o "$LAB_DIR/transfer.pipe" "$2"
	lab_spawn reader lab bash -c 'exec <"$0.pipe"; until [[ -e $0.go ]]; do head -c 131072; sleep 0.1; done; cat' "$LAB_DIR/transfer"
	wait_until 10 test -s "$LAB_DIR/reader.out"
}

transfer_ends() # FILE
{
	[[ ! -s $LAB_DIR/transfer.status ]] || lab_die "the transfer has ended before" || return 1
	touch "$LAB_DIR/transfer.go"
	[[ $(lab_wait transfer 60) = 0 && $(lab_wait reader 60) = 0 ]] || lab_die "the transfer: $(<"$LAB_DIR/transfer.err")" || return 1
	cmp "$LAB_DIR/reader.out" "$1"
}

# Random content, the same each time, and fast.
lab_file() # NAME MIB
{
	mkdir -p "$LAB_DIR/www"
	head -c "$2M" /dev/zero | openssl enc -aes-128-ctr -nosalt -K 0 -iv 0 \
		>"$LAB_DIR/www/$1" 2>/dev/null
}

# Several workers

# For a test of what one worker does: of a table or limit each of several has a part.
needs_one_worker()
{
	[[ ${WORKERS:-1} = 1 ]] || skip "several workers"
}

# Each worker shares out its own connections only: all together they may be so many off a server's share.
is_share() # NUMBER SHARE
{
	local off=$(($1 - $2))

	((${off#-} < ${WORKERS:-1})) || lab_die "$1, where $2 is the share"
}

# The same in a jq expression, behind this: number | is_share(SHARE).
JQ_SHARE="def is_share(n): ((. // 0) - n | fabs) < ${WORKERS:-1};"

# tmbridge, with TMBRIDGE_ENV (NAME=VALUE) in its environment

# Sanitizers slow everything down.
lab_is_slow()
{
	[[ $VARIANT != release ]]
}

tmbridge_start() # INI [ARGUMENT...]
{
	rm -f "$LAB_DIR/stats.json"
	lab_spawn tmbridge tmb ${TMBRIDGE_ENV:-} "$TMBRIDGE" eth0 eth1 -f "$1" -s "$LAB_DIR/stats.json" "${@:2}"
	wait_until 40 tmbridge_is_up || tmbridge_fail "didn't start" || return 1
	[[ ! -s $LAB_DIR/tmbridge.status ]] || tmbridge_fail "ended at once"
}

# The preflight takes a while: up it is when it says so and something crosses. If it ended, waiting is
# over as well.
tmbridge_is_up()
{
	[[ ! -s $LAB_DIR/tmbridge.status ]] || return 0
	grep -q 'balancing$' "$LAB_DIR/tmbridge.err" && in_ns dc ping -c 1 -W 1 10.0.0.41
}

tmbridge_fail() # WHAT
{
	cat "$LAB_DIR/tmbridge.err" >&2
	lab_die "tmbridge $1"
}

# Prints the current statistics. The file is there at once or not at all.
tmbridge_stats()
{
	: >"$LAB_DIR/stats.json"
	lab_signal tmbridge USR1
	wait_until 15 test -s "$LAB_DIR/stats.json" || { tmbridge_stands && return 1; }
	cat "$LAB_DIR/stats.json"
}

# Says at what each thread is, of one that doesn't do what it should, and what it has said.
tmbridge_stands()
{
	local pid task

	read -r pid <"$LAB_DIR/tmbridge.pid"
	for task in "/proc/$pid/task"/*; do
		echo "${task##*/}: $(cut -d' ' -f2,3,14,15 "$task/stat") $(<"$task/syscall") $(tr '\n' ' ' <"$task/stack")"
	done >&2 || true
	cat "$LAB_DIR/tmbridge.err" >&2
}

# Fails unless the sums hold that the statistics promise. Reads one object or several.
stats_add_up() # <STATS
{
	jq -s -e 'length > 0 and all(.[];
		(.frames | .received == .bridged + .forwarded + .answered + .dropped) and
		([.reasons[]] | add // 0) == .frames.received)' >/dev/null ||
		lab_die "the statistics don't add up"
}

# Compares the statistics' value of a jq expression. Says both if they differ.
tmbridge_counts() # EXPRESSION EXPECTED
{
	local is

	is=$(tmbridge_stats | jq -c "$1")
	[[ $is = "$2" ]] || lab_die "statistics: $1 is $is, not $2"
}

tmbridge_is_served() # [UP-SERVERS]
{
	tmbridge_stats | jq -e --argjson n "${1:-2}" \
		'[.farms[].servers[] | select(.health == "up")] | length >= $n'
}

# Fails unless it ends well.
tmbridge_stop() # [SIGNAL]
{
	local status

	lab_signal tmbridge "${1:-TERM}"
	status=$(lab_wait tmbridge 10) || tmbridge_fail "doesn't end" || return 1
	[[ $status = 0 ]] || tmbridge_fail "ended with status $status" || return 1
	! grep -qE 'Sanitizer|runtime error' "$LAB_DIR/tmbridge.err" || tmbridge_fail "is unclean"
}

# Writes a farm of fe1 and fe2, with $VIP, to $LAB_DIR/lb.ini, of IPv6 if that is. SETTINGS are lines for [bridge] (those that start
# with "bridge.") and [farm].
lab_ini() # [SETTING...]
{
	local setting server net=10.0.0.

	{
		echo "[bridge]"
		[[ $* = *bridge.max_connections* ]] || echo "max_connections = $LAB_CONNECTIONS"
		[[ $* = *bridge.fast_path* ]] || echo "fast_path = $FAST_PATH"
		[[ $* = *bridge.on_exit* ]] || echo "on_exit = cut" # the lab is as it was then
		[[ -z $WORKERS || $* = *bridge.workers* ]] || echo "workers = $WORKERS"
		for setting; do
			[[ $setting != bridge.* ]] || echo "${setting#bridge.}"
		done
		printf '[farm pool]\nvip = %s\n' "$VIP"
		[[ $VIP != *:* ]] || net=fd00::
		for setting; do
			[[ $setting = bridge.* || $setting = fe?.* ]] || echo "$setting"
		done
		for server in fe1 fe2; do
			printf '[server %s]\nfarm = pool\naddress = %s4%s\n' "$server" "$net" "${server#fe}"
			for setting; do
				[[ $setting != $server.* ]] || echo "${setting#*.}"
			done
		done
	} >"$LAB_DIR/lb.ini"
}

if [[ ${BASH_SOURCE[0]} = "$0" ]]; then
	if [[ ${1:-} = --init ]]; then
		lab_init "${@:2}"
	else
		lab_enter "$@"
	fi
fi
