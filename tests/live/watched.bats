# Operators again: who misuses the sockets, verdicts from outside, the wire, what goes on in it.

WORKERS=${WORKERS:-2} # whom to watch is one of several
source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../operator.sh"
export TSAN_OPTIONS=$TSAN_OPTIONS:report_thread_leaks=0 # one that ends while a worker hangs leaves its threads where they are

# Somebody sets the time of day all the while, by up to 50 ms: what has to be in the order of time is so by another clock.
export TMBRIDGE_ENV=LD_PRELOAD=$LAB_DIR/restless.so

setup_file()
{
	gcc -shared -fPIC -o "$LAB_DIR/restless.so" -x c - <<-'END'
		#include <sys/syscall.h>
		#include <time.h>
		#include <unistd.h>
		int clock_gettime(clockid_t id, struct timespec *ret)
		{
			static unsigned turn;
			int status = (int)syscall(SYS_clock_gettime, id, ret);
			if (id == CLOCK_REALTIME && (ret->tv_nsec += __atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED) % 6 * 10000000L) >= 1000000000L) {
				ret->tv_nsec -= 1000000000L;
				ret->tv_sec++;
			}
			return status;
		}
	END
	operators_up
}

# Somebody who misuses the status socket; what he got is printed.
hostile() # PYTHON
{
	{
		cat <<-END
			import socket, time
			def connect(kind="status"):
			    s = socket.socket(socket.AF_UNIX)
			    s.connect("$RUN/" + kind)
			    s.settimeout(10)
			    return s
		END
		sed 's/^\t//' <<<"$1"
	} | /usr/bin/python3 -
}

@test "half a line, a line without end, what is no text, too many words" {
	run hostile 's = connect(); s.send(b"stat"); time.sleep(.1); s.send(b"us\n"); print(s.recv(10).decode())'
	[[ $output = '{"version"'* ]]
	run hostile 's = connect(); s.send(b"x" * 100000); print(s.recv(999).decode())'
	[[ $output = *'"exit":2'*'"bad_request"'* ]]
	run hostile 's = connect(); s.send(b"status \xff\x00\x01\n"); print(s.recv(999).decode())'
	[[ $output = *'"exit":2'* ]]
	run hostile 's = connect(); s.send(b"a " * 100 + b"\n"); print(s.recv(999).decode())'
	[[ $output = *'"exit":2'* ]]
	run hostile 's = connect(); s.send(b"\n\nversion\r\nversion\n"); s.shutdown(socket.SHUT_WR); r = b""
	while (b := s.recv(9999)): r += b
	print(r.count(b"bad_request"), r.count(b"\"pid\""))'
	[[ $output = "2 2" ]]
	run hostile 's = connect(); s.send(b"server drain fe1\n"); print(s.recv(999).decode())'
	[[ $output = *'"exit":3'*'"not_permitted"'* ]]
	server_is fe1 '.state == "active"'
}

@test "200 questions in a row, each answered when the one before has been, take no 5 s of waiting for the workers" {
	run hostile 's = connect("control")
	def takes(question):
	    r = b""; begun = time.time(); s.send(question + b"\n")
	    while not r.endswith(b"}\n") or b"\"end\"" not in r[-40:]: r += s.recv(9999)
	    return time.time() - begun
	took = sum(takes(b"status") - takes(b"version") for i in range(200)) # who asks for a version waits for the machine only
	print(took < 5 or took)'
	echo "$output"
	[[ $output = True ]]
}

# All threads but that of the sockets stand still, until nobody holds them any more.
STANDSTILL='import ctypes, os
	ptrace = ctypes.CDLL(None).ptrace
	SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
	pid = int(open("'$LAB_DIR'/tmbridge.pid").read())
	threads = [int(t) for t in os.listdir(f"/proc/{pid}/task") if int(t) != pid]
	def hold():
	    for t in threads: ptrace(SEIZE, t, None, None); ptrace(INTERRUPT, t, None, None); os.waitpid(t, 0x40000000)
	def let_go():
	    for t in threads: ptrace(DETACH, t, None, None)
	def answer(s):
	    r = b""
	    while b"\"end\":true" not in r: r += s.recv(99999)
	    return r.decode()'

@test "workers that don't move: who asks them waits, in vain for 2 s, and nobody else does" {
	run hostile "$STANDSTILL"'
	def ask(s, line): s.send(line + b"\n"); begun = time.time(); answer(s); return time.time() - begun
	viewers, c = [connect() for i in range(10)], connect("control")
	drains = connect("control")
	hold()
	drains.send(b"server drain fe2\n"); time.sleep(.05)
	for s in viewers: s.send(b"status\n")
	time.sleep(.3)
	slowest = max(ask(c, line) for line in [b"version", b"events --limit 1", b"config diff"] * 20)
	vain = sum("\"exit\":5" in answer(s) and 1 for s in viewers + [drains])
	s = viewers[0]; s.send(b"status\n"); c.send(b"server weight fe1 1\n"); time.sleep(.2)
	let_go()
	print(vain, slowest < 1.5 or slowest, "exit\":0" in answer(s), "exit\":0" in answer(c))'
	echo "$output"
	[[ $output = "11 True True True" ]]
	server_is fe2 '.state == "active"'
}

@test "statistics that a worker doesn't come to at once are written when it does" {
	: >"$LAB_DIR/stats.json"
	run hostile "$STANDSTILL"'
	hold(); os.kill(pid, 10); time.sleep(.4); let_go(); print("let go")'
	[[ $output = "let go" ]]
	wait_until 5 test -s "$LAB_DIR/stats.json"
}

# bats test_tags=plain
@test "a capture that begins, or ends, while workers don't move gives its memory back when they do" {
	run hostile "$STANDSTILL"'
	def ask(s, line): s.send(line + b"\n"); return answer(s)
	def room(): return int(next(l for l in open(f"/proc/{pid}/status") if l.startswith("VmData")).split()[1])
	def cycle():
	    begun = connect("control"); begun.send(b"capture\n"); begun.recv(99999)
	    hold()
	    s = connect("control"); s.send(b"capture\n"); time.sleep(.05)
	    begun.close(); time.sleep(.25); s.close(); time.sleep(.1)
	    let_go()
	    c = connect(); time.sleep(.1); ask(c, b"status"); ask(c, b"status"); c.close()
	    again = connect("control"); again.send(b"capture\n"); said = again.recv(99999); again.close()
	    c = connect(); ask(c, b"status"); time.sleep(.1); ask(c, b"status")
	    return b"capture\":true" in said
	good = cycle(); before = room()
	good &= all([cycle() for i in range(4)])
	print(good, room() - before < 3000 or room() - before)'
	echo "$output"
	[[ $output = "True True" ]]
}

# They have said that they move, and an address that is new is being looked for when they don't any more.
# bats test_tags=plain
@test "workers that stop moving while a reload looks whether it can be: it fails, and holds nothing up for longer" {
	sed -i "/^vip/a snat = $VIP, 10.0.0.60" "$LAB_DIR/lb.ini"
	run hostile "$STANDSTILL"'
	c, v = connect("control"), connect()
	c.send(b"reload\n"); time.sleep(.1)
	hold()
	begun = time.time(); said = answer(c)
	v.send(b"version\n"); answer(v)
	took = time.time() - begun
	let_go()
	print("\"exit\":5" in said and "not reloaded: nothing has changed (a worker" in said or said, took < 4 or took)'
	sed -i '/^snat/d' "$LAB_DIR/lb.ini"
	echo "$output"
	[[ $output = "True True" ]]
	wait_until 5 in_ns dc ping -c 1 -W 1 10.0.0.41
	tmb reload
}

# One worker is held where it is in the middle of what it does for somebody who asks for figures (it asks the kernel for a socket's),
# the others go on. HOLD is what comes then, and whatever it prints is printed.
hang() # HOLD
{
	hostile "$STANDSTILL"'
	SYSCALL, PEEKUSER, ORIG_RAX, GETSOCKOPT = 24, 3, 120, 55
	ptrace.restype, ptrace.argtypes = ctypes.c_long, [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
	c, v = connect("control"), connect()
	def hang():
	    for t in threads: ptrace(SEIZE, t, None, 1); ptrace(INTERRUPT, t, None, None); os.waitpid(t, 0x40000000); ptrace(SYSCALL, t, None, None)
	    v.send(b"status\n")
	    while True:
	        t, status = os.waitpid(-1, 0x40000000)
	        if os.WSTOPSIG(status) == 0x85 and ptrace(PEEKUSER, t, ORIG_RAX, None) == GETSOCKOPT: break
	        ptrace(SYSCALL, t, None, None)
	    for other in threads:
	        if other != t: ptrace(INTERRUPT, other, None, None); os.waitpid(other, 0x40000000); ptrace(DETACH, other, None, None)
	    return t
	def ask(s, line): s.send(line + b"\n"); return answer(s)
	hung, begun = hang(), time.time()
	'"$1"
}

says() # PATTERN
{
	grep -E "$1" "$LAB_DIR/tmbridge.err"
}

# bats test_tags=plain
@test "a worker that hangs in what it does for somebody: he is told, others are served, and it is said" {
	run hang 'said = ask(c, b"version")
	print("\"exit\":0" in said, time.time() - begun < 4 or time.time() - begun, "no_answer" in answer(v), "no_answer" in ask(v, b"metrics"), "no_answer" in ask(c, b"reload"))
	while not [l for l in open("'"$LAB_DIR"'/tmbridge.err") if "moved for" in l]: time.sleep(.1)
	ptrace(DETACH, hung, None, None)
	time.sleep(.2)
	print("\"exit\":0" in ask(v, b"status"), "\"exit\":0" in ask(c, b"server weight fe1 --reset"))'
	echo "$output"
	[[ $output = $'True True True True True\nTrue True' ]]
	wait_until 5 says 'all workers move again'
	says "worker [01] hasn't moved for 5 s"
}

vip_has_mac() # MAC
{
	in_ns client ip neigh flush dev eth0
	in_ns client ping -q -c 1 -W 1 "$VIP"
	in_ns client ip neigh show "$VIP" | grep -F "$1"
}

# bats test_tags=plain
@test "a cable that changes while workers don't move is followed when they do, and keeps nobody waiting" {
	run hostile "$STANDSTILL"'
	c = connect("control")
	hold()
	os.system("ip -n tmb link set eth0 address 02:00:00:00:00:09")
	time.sleep(.2)
	begun = time.time(); c.send(b"version\n"); answer(c)
	print(time.time() - begun < 3 or time.time() - begun)
	let_go()'
	echo "$output"
	[[ $output = True ]]
	wait_until 10 vip_has_mac 02:00:00:00:00:09
	ip -n tmb link set eth0 address 02:00:00:00:00:01
	wait_until 10 vip_has_mac 02:00:00:00:00:01
}

# bats test_tags=plain
@test "asked to end while a worker hangs, it ends without it" {
	local status

	hang 'os.kill(pid, 15); os.waitpid(hung, 0x40000000)' &
	status=$(lab_wait tmbridge 15)
	wait $!
	echo "$status"
	[[ $status = 1 ]]
	says "a worker doesn't move: it is left where it is"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 10 servers_are_up 2
}

@test "1000 connects, and who never reads: the next one is served, operators meanwhile too" {
	hostile 'crowd = []
	for i in range(1000):
	    s = connect(); crowd.append(s)
	    try: s.send(b"events -f\nstatus\n")
	    except OSError: pass
	refused = sum(1 for s in crowd if b"too_many_clients" in s.recv(200))
	print(refused)
	c = connect("control"); c.send(b"version\n"); print(b"pid" in c.recv(999))' >"$LAB_DIR/hostile"
	cat "$LAB_DIR/hostile"
	[[ $(head -n 1 "$LAB_DIR/hostile") -ge 900 && $(tail -n 1 "$LAB_DIR/hostile") = True ]]
	wait_until 5 servers_are_up 2
	in_ns dc ping -c 1 -W 10 10.0.0.41
}

control_used() # ms that the thread of the sockets has used, and how often it got a processor for that
{
	awk '{ print int($1 / 1000000), $3 }' "/proc/$(<"$LAB_DIR/tmbridge.pid")/task/$(<"$LAB_DIR/tmbridge.pid")/schedstat"
}

# Two who do that for 1.5 s, or until others have had their answers, who look and who operate; how often they have, and after how many ms.
often() # PYTHON
{
	hostile "import threading
	def goes_on():
	    return time.time() - begun < 1.5 or time.time() - begun < 60 and (answers['status'] <= 3 or answers['control'] <= 30)
	def often():
	    while goes_on():
	        try: $1
	        except OSError: pass
	def asks(kind):
	    while goes_on():
	        try: s = connect(kind); s.send(b'version\n'); answers[kind] += b'pid' in s.recv(999); s.close(); time.sleep(.01)
	        except OSError: pass
	answers = {'status': 0, 'control': 0}
	begun = time.time()
	threads = [threading.Thread(target=often) for i in range(2)] + [threading.Thread(target=asks, args=(kind,)) for kind in answers]
	for t in threads: t.start()
	for t in threads: t.join()
	print(*answers.values(), int(1000 * (time.time() - begun)))"
}

@test "who connects and closes, asks, or says a byte at a time as fast as he can seldom wakes anybody; others are served meanwhile" {
	local how before turns used status control ms

	for how in 'connect().close()' 's = connect(); s.send(b"status\n"); s.recv(9); s.close()' \
		's = connect(); s.send(b"events -f\n"); [s.send(b"x") for i in range(4000)]; s.close()'; do
		read -r before turns < <(control_used)
		read -r status control ms < <(often "$how")
		read -r used turns < <(control_used | awk -v before="$before" -v turns="$turns" '{ print $1 - before, $2 - turns }')
		echo "$how: $used ms in $turns turns in $ms ms; $status and $control others served"
		((used < ms / 6 && turns - 3 * control < ms / 6 && status > 3 && control > 30)) # an operator's own take three
	done
}

@test "a reader who is slow loses records, which are counted, and nobody else does" {
	run hostile 's = connect(); s.send(b"events -f\n"); c = connect("control")
	s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
	for i in range(3000):
	    c.send(b"flow reset " + b"x" * 200 + b"\n"); c.recv(999)
	s.settimeout(1); r = b""
	try:
	    while (b := s.recv(99999)): r += b
	except TimeoutError: pass
	print(r.count(b"\"event\""), r.count(b"\"lost\""))'
	echo "$output"
	[[ $output =~ ^[1-9][0-9]*\ [1-9] ]]
}

@test "limits, and one more: a line's bytes and words, a filter's terms, the lines of the log" {
	run hostile 'def ask(line):
	    s = connect("control"); s.send(line + b"\n"); s.shutdown(socket.SHUT_WR)
	    r = b""
	    try:
	        while (b := s.recv(99999)): r += b
	    except ConnectionResetError: pass # the rest of a line that is too long
	    return r
	many = [ask(b"x" * n).count(b"a line of more than") for n in (4094, 4095, 4096)]
	words = [ask(b" ".join([b"version"] + [b"x"] * (n - 1))).count(b"one line of up to 64 words") for n in (64, 65)]
	terms = [ask(b"flows " + b" and ".join([b":443"] * n)).count(b"more than 16 terms") for n in (16, 17)]
	for i in range(1100): ask(b"flow reset x")
	lines = [ask(b"events" + how).count(b"\"event\"") for how in (b"", b" --limit 1", b" --limit 999", b" --limit 1000", b" --limit 1001", b" --limit 0")]
	print(many, words, terms, lines)'
	echo "$output"
	[[ $output = "[0, 0, 1] [0, 1] [0, 1] [1000, 1, 999, 1000, 1000, 0]" ]]
}

@test "server health: a verdict from outside, with its reason, until its time is over" {
	tmb server health fe2 down --why disk is full --for 1h
	server_is fe2 '.health == "down" and .failed_reason == "said" and .failed_why == "an operator says \"disk is full\""'
	tmb status | seek '! fe2: down for .*disk is full'
	tmb server health fe2 down --for 1s # instead: on a slow machine that may be over before anybody has looked
	wait_until 10 servers_are_up 2
	tmb events | seek 'server fe2: what an operator said of its health is over'
	# the log has what follows, for who reads no status: of the farm, and of the servers when it is over
	tmb server health fe1 down --for 1h
	tmb server health fe2 down --for 1h
	tmb events -o json --limit 4 | jq -se 'any(.farm == "pool" and .up == false)'
	tmb server health fe1 down --for 1s
	tmb server health fe2 down --for 1s
	wait_until 15 servers_are_up 2
	tmb events -o json --limit 6 | jq -se '(map(select(.health == "up" and .was == "down") | .server) | sort) == ["fe1", "fe2"] and any(.farm == "pool" and .up)'
	run tmb server health fe3 down
	[[ $status = 4 ]]
	run tmb server health fe1 sideways
	[[ $status = 2 ]]
}

wire_is() # on|bypass
{
	local answer=0

	in_ns client timeout 3 bash -c "exec 3<>/dev/tcp/$VIP/5061" 2>/dev/null || answer=1
	[[ $answer = 0 && $1 = on || $answer = 1 && $1 = bypass ]]
}

@test "wire bypass: what there is goes on, nothing new is balanced; wire on" {
	hold three
	tmb wire bypass
	wire_is bypass
	tmb status | seek '! wire: bypass'
	[[ $(tmb flows --no-header state open | wc -l) -ge 1 ]]
	in_ns dc ping -c 1 -W 10 10.0.0.41
	tmb wire on
	wait_until 5 wire_is on
	[[ $(grep -c over "$LAB_DIR/three.out") = 0 ]]
}

@test "top: servers, farms, reasons, clients" {
	wait_until 10 top_has_rates
	tmb top --once | seek -E '^fe[12] +pool +up +[0-9]'
	tmb top --once --by farm | seek -E '^pool +10.0.0.40 +1 '
	tmb top --once --by reason | seek -E '^not_ours +[0-9]'
	tmb top --once --by client | seek -E '^10.0.0.100 +1 '
	# as many lines as a terminal has room for, the cursor's among them
	lab_spawn screen lab script -qec "stty rows 6; exec $TMBRIDGE top --by reason" /dev/null
	wait_until 10 drawn
	lab_kill screen
	[[ $(awk -v RS='\033\\[2J' 'NR == 2 { print gsub("\n", "") }' "$LAB_DIR/screen.out") = 5 ]]
	run tmb top --once --by clinet
	[[ $status = 2 && $output = *"did you mean client?"* ]]
}

# A second time, and so the first time to the end.
drawn()
{
	[[ $(awk -v RS='\033\\[2J' 'END { print NR }' "$LAB_DIR/screen.out") -ge 3 ]]
}

top_has_rates()
{
	tmb status -o json | jq -e '.rates.created >= 0 and .ports.outside.received_s >= 0 and .farms[0].servers[0].created_s >= 0 and
		(.farms[0] | .server_bytes_s - (.servers | map(.server_bytes_s) | add) | fabs < 1)'
}

captured() # FILE FIELD... : of each packet
{
	tshark -r "$LAB_DIR/$1" -T fields $(printf -- '-e %s ' "${@:2}") 2>/dev/null
}

# Begins to capture to $LAB_DIR/FILE, in the background.
capture() # FILE WORDS...
{
	rm -f "$LAB_DIR/$1"
	lab_spawn "$1" tmb "$TMBRIDGE" capture -w "$LAB_DIR/$1" "${@:2}"
	wait_until 5 test -s "$LAB_DIR/$1"
}

@test "capture: both halves of a connection in one file, with reason, flow and server; what is dropped" {
	capture one.pcapng --both -c 6 tcp port 5061 and host 10.0.0.100
	hold four
	[[ $(lab_wait one.pcapng 10) = 0 ]]
	tmb events | seek -E 'control: uid 0: capture --both tcp port 5061 and host 10.0.0.100 --bpf=[0-9a-f]{64}[.]{3}$'
	captured one.pcapng frame.interface_name ip.src ip.dst frame.comment | sed -n 1,2p >"$LAB_DIR/captured"
	grep -qE $'^outside-in\t10.0.0.100\t10.0.0.40\tflow_new, flow [0-9]+, server fe[12]$' "$LAB_DIR/captured"
	grep -qE $'^inside-out\t10.0.0.40\t10.0.0.4[12]\tflow_new, flow [0-9]+, server fe[12]$' "$LAB_DIR/captured"
	capture two.pcapng --dropped=protocol_not_served -c 1
	in_ns client bash -c "echo x >/dev/udp/$VIP/5061" || true
	[[ $(lab_wait two.pcapng 5) = 0 ]]
	[[ $(captured two.pcapng frame.interface_name udp.dstport frame.comment) = $'outside-in\t5061\tprotocol_not_served' ]]
	lab_spawn six tmb "$TMBRIDGE" capture "-w$LAB_DIR/six seven" -c1 "udp and port" 5061
	wait_until 5 test -s "$LAB_DIR/six seven"
	in_ns client bash -c "echo x >/dev/udp/$VIP/5061" || true
	[[ $(lab_wait six 5) = 0 ]]
	run tmb capture -w "$LAB_DIR/none" -t 0.1 host 192.0.2.1
	[[ $status = 0 && $output = *"0 packets, 0 lost"*"vlan and (host 192.0.2.1)"* ]]
	run tmb capture -w "$LAB_DIR/three" --bth
	[[ $status = 2 && $output = *"--bth: no such option (did you mean --both?)"* ]]
	run tmb capture -w "$LAB_DIR/three" tcp prot 1
	[[ $status = 2 ]]
	run tmb capture -w "$LAB_DIR/three" --dropped=nothing
	[[ $status = 4 ]]
}

@test "capture: a filter that would turn for ever, or end the process, is none" {
	local code

	run hostile 's = connect("control"); s.send(b"capture --bohth udp --bpf=0006000000040000\n"); print(s.recv(999).decode())'
	[[ $output = *'"exit":2'*"--bohth: unexpected"* ]]
	run hostile 's = connect("control"); s.send(b"capture --bpf=0006000000000000    --bundle\n"); print(s.recv(30).decode())'
	tmb events --limit 1 | seek 'control: uid 0: capture --bpf=0006000000000000 --bundle$'
	run hostile 's = connect("control")
	s.send(b"capture --bpf=00050000ffffffff0006000000000001\n"); print(s.recv(999).decode())'
	[[ $output = *'"exit":2'*'"bad_filter"'* ]]
	run hostile 's = connect("control")
	s.send(b"capture --bpf=0000000000000000" + b"0000000000000000" + b"00050000fffffffd0006000000000001\n"); print(s.recv(999).decode())'
	[[ $output = *'"exit":2'*'"bad_filter"'* ]]
	# valid by libpcap, which then ends the process that runs it: ret x, an unknown class, neg x, ja x
	for code in 000e 0106 008c 000d; do
		run hostile 's = connect("control"); s.send(b"capture --bpf='$code'0000000000000006000000000001\n"); print(s.recv(999).decode())'
		[[ $output = *'"exit":2'*'"bad_filter"'* ]]
	done
	in_ns dc ping -c 1 -W 10 10.0.0.41
}

# A later fragment of TCP to the VIP, whose first one never comes.
later_fragment()
{
	in_ns client /usr/bin/python3 - "$VIP" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
		head = bytes([0x45, 0, 0, 0, 0x12, 0x34, 0, 100, 64, 6, 0, 0]) + socket.inet_aton("10.0.0.100") + socket.inet_aton(sys.argv[1])
		s.sendto(head + b"x" * 64, (sys.argv[1], 0))
	END
}

@test "capture: a fragment that waits for its first one belongs to no connection" {
	local was
	was=$(tmb version)
	capture four.pcapng -c 1 'ip[6:2] & 0x1fff != 0'
	later_fragment
	[[ $(lab_wait four.pcapng 5) = 0 ]]
	[[ $(captured four.pcapng frame.interface_name frame.comment) = $'outside-in\tfragment_held' ]]
	[[ $(tmb version) = "$was" ]]
}

# How many frames the two have sent alike.
sent_alike()
{
	"$TOOLS/pcapcmp" -p "$LAB_DIR/bundle/outside-out.pcap" "$LAB_DIR/again-outside.pcap" \
		"$LAB_DIR/bundle/inside-out.pcap" "$LAB_DIR/again-inside.pcap"
}

# Leaves out what tmbridge asks of its own, as the capture's filter has.
only_tcp() # CAPTURE
{
	tcpdump -r "$LAB_DIR/$1.pcap" -w "$LAB_DIR/tcp" tcp 2>/dev/null
	mv "$LAB_DIR/tcp" "$LAB_DIR/$1.pcap"
}

bundle_has() # CAPTURE FILTER N
{
	[[ $(tcpdump -r "$LAB_DIR/bundle/$1.pcap" "$2" 2>/dev/null | wc -l) -ge $3 ]]
}

# A replay has servers as up or down as they were when it was begun: probes mustn't change that, however late their answers come.
servers_stay_up()
{
	tmb server health fe1 up --for 1h
	tmb server health fe2 up --for 1h
}

@test "capture --bundle: begun in the middle of connections, its replay sends what was sent" {
	local line

	servers_stay_up
	tmb capture --bundle "$LAB_DIR/brief" -t 0.001 # for packets: what a replay begins with is there however long that takes
	grep -q ^state "$LAB_DIR/brief/state"
	diff "$LAB_DIR/brief/lb.ini" "$LAB_DIR/lb.ini"
	tmb server weight fe2 3
	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n 6 -t 30 -w "$VIP" 5061 3>&-; }
	read -r -t 60 line <&"${HELD[0]}"
	# one without a frame says how things were when it was begun
	tmb capture --bundle "$LAB_DIR/empty" -t 0.001 ether proto 0x88b5
	run "$TMBRIDGE" -b "$LAB_DIR/empty" -w "$LAB_DIR/again-outside.pcap,$LAB_DIR/again-inside.pcap" -s "$LAB_DIR/empty.json"
	echo "$output"
	[[ $status = 0 && $output = *" connections go on"* ]]
	jq -e '.flows.open >= 6 and .frames.received == 0' "$LAB_DIR/empty.json"
	lab_spawn bundle tmb "$TMBRIDGE" capture --bundle "$LAB_DIR/bundle" tcp and host 10.0.0.100
	wait_until 10 test -s "$LAB_DIR/bundle/capture.pcapng"
	wait_until 10 grep -q ^flow "$LAB_DIR/bundle/state"
	echo >&"${HELD[1]}"
	read -r -t 60 line <&"${HELD[0]}"
	jq -e '.echoed == 6 and .lost == 0' <<<"$line"
	in_ns client "$TOOLS/manyconns" connect -n 7 -t 10 "$VIP" 5061 | jq -e '.echoed == 7'
	in_ns client bash -c "exec 3<>/dev/tcp/$VIP/9" || true
	wait_until 20 bundle_has outside-out 'src host 10.0.0.40 and src port 9' 1
	wait_until 20 bundle_has inside-in 'src port 5061' 40
	lab_kill bundle
	[[ $(stat -c %a "$LAB_DIR/bundle") = 700 && $(stat -c %a "$LAB_DIR/bundle/state") = 600 ]]
	diff "$LAB_DIR/bundle/lb.ini" "$LAB_DIR/lb.ini"
	run "$TMBRIDGE" -b "$LAB_DIR/bundle" -w "$LAB_DIR/again-outside.pcap,$LAB_DIR/again-inside.pcap"
	echo "$output"
	[[ $status = 0 && $output = *" connections go on"* ]]
	sent_alike
	# an answer of its own among them, which the capture calls so
	captured bundle/capture.pcapng frame.interface_name tcp.srcport frame.comment | seek -E $'^outside-out\t9\town: reset$'
	run "$TMBRIDGE" -b "$LAB_DIR/nothing" -w "$LAB_DIR/again-outside.pcap"
	[[ $status = 2 ]]
	sed -i '1s/state [0-9]*/state 99/' "$LAB_DIR/bundle/state"
	run "$TMBRIDGE" -b "$LAB_DIR/bundle" -w "$LAB_DIR/again-outside.pcap"
	[[ $status != 0 && $output = *"state:1: not what"* ]]
}

is_half_open() # CLIENT
{
	[[ $(tmb flows --no-header state half_open and client "$1" | wc -l) = 1 ]]
}

# Connections of these clients have ended, and the capture has had all of it: one that is ended before may have a frame, but not yet what
# was sent for it.
is_over() # CLIENTS
{
	local bytes

	[[ $(tmb flows --no-header client "$1" | wc -l) = 0 ]] || return 1
	bytes=$(stat -c %s "$LAB_DIR/bundle/capture.pcapng")
	sleep .3
	[[ $(stat -c %s "$LAB_DIR/bundle/capture.pcapng") = "$bytes" ]]
}

# Each client has a server of his own, has used up half of what he may begin at once, and gets the rest while the capture goes on; and
# somebody's handshake is under way, as servers can't answer until then.
@test "capture --bundle: who sticks to a server, who is limited, and handshakes under way are in it" {
	local server line

	for ((i = 60; i < 68; i++)); do in_ns client ip address add "10.0.0.1$i/24" dev eth0; done
	sed -i '/^ports/a persist = 5m\nclient_rate = 1\nclient_burst = 2' "$LAB_DIR/lb.ini"
	tmb reload
	servers_stay_up
	rm -rf "$LAB_DIR/bundle"
	in_ns client "$TOOLS/manyconns" connect -n 7 -a 10.0.0.160 -A 7 -t 10 "$VIP" 5061 | jq -e '.echoed == 7'
	for server in fe1 fe2; do ip -n $server route add blackhole "$VIP/32"; done
	in_ns client "$TOOLS/manyconns" connect -n 1 -a 10.0.0.167 -t 40 "$VIP" 5061 >"$LAB_DIR/late" &
	wait_until 5 is_half_open 10.0.0.167
	lab_spawn bundle tmb "$TMBRIDGE" capture --bundle "$LAB_DIR/bundle" tcp port 5061 and net 10.0.0.160/29
	wait_until 10 grep -q ^flow "$LAB_DIR/bundle/state"
	wait_until 10 grep -q ^limited "$LAB_DIR/bundle/state"
	for server in fe1 fe2; do ip -n $server route del blackhole "$VIP/32"; done
	in_ns client "$TOOLS/manyconns" connect -n 42 -a 10.0.0.160 -A 7 -t 2 "$VIP" 5061 >"$LAB_DIR/limited" || true
	wait %?late
	jq -e '.echoed == 1' "$LAB_DIR/late"
	jq -e '.connected >= 7 and .connected < 42' "$LAB_DIR/limited"
	wait_until 20 bundle_has outside-out 'tcp[13] & 4 != 0' 1
	wait_until 20 is_over 10.0.0.160/29
	lab_kill bundle
	[[ $(grep -c ^sticky "$LAB_DIR/bundle/state") -ge 7 ]]
	run "$TMBRIDGE" -b "$LAB_DIR/bundle" -w "$LAB_DIR/again-outside.pcap,$LAB_DIR/again-inside.pcap"
	echo "$output"
	[[ $status = 0 && $output = *", 1 of them half-open"* ]]
	only_tcp again-outside
	only_tcp again-inside
	sent_alike
	# its ports go on behind those that had been handed out last
	awk '$1 == "turn" { for (i = 7; i <= NF; i++) $i = 29999 } 1' "$LAB_DIR/bundle/state" >"$LAB_DIR/state"
	mv "$LAB_DIR/state" "$LAB_DIR/bundle/state"
	"$TMBRIDGE" -b "$LAB_DIR/bundle" -w "$LAB_DIR/again-outside.pcap,$LAB_DIR/again-inside.pcap"
	[[ $(tcpdump -r "$LAB_DIR/again-inside.pcap" 'src host 10.0.0.40 and src portrange 30000-30099' 2>/dev/null | wc -l) -ge 10 ]]
	sed -i '/^persist\|^client_/d' "$LAB_DIR/lb.ini"
	tmb reload
}
