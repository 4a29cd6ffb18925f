# What verbs print for people, byte for byte, of answers that were written down; the one that answers is made up.

source "$BATS_TEST_DIRNAME/../lab.sh"

GOLDEN=$BATS_TEST_DIRNAME/../golden

setup_file()
{
	lab_ns tmb off
	lab_spawn first tmb /usr/bin/python3 "$BATS_TEST_DIRNAME/../golden/fake.py" "$BATS_TEST_DIRNAME/../golden" eth0-eth1
	wait_until 10 test -S /run/tmbridge/eth0-eth1/status
}

teardown_file()
{
	lab_kill_all
}

# With GOLDEN_WRITE=1 the files are made anew, to be looked at.
is_golden() # NAME VERB...
{
	[[ -z ${GOLDEN_WRITE:-} ]] || "$TMBRIDGE" "${@:2}" >"$GOLDEN/$1.txt"
	diff "$GOLDEN/$1.txt" <("$TMBRIDGE" "${@:2}")
	[[ $1 != *-wide && $1 != *-csv && $1 != events ]] || return 0
	[[ -z $(awk 'length > 100' "$GOLDEN/$1.txt") ]]
}

@test "status, servers, farms" {
	is_golden status status
	is_golden server-list server list
	is_golden server-list-wide server list -o wide --sort flows
	[[ $("$TMBRIDGE" server list -o csv --no-header --limit 1) = ocspool,ocsfe01.contoso.com,10.0.0.41,active,up,20*Z,10,617,6.3,1209600,2,28000,123456789,9876543210,0.412,12.5,18756,0,, ]]
	is_golden farm-list farm list
}

@test "flows, events, config diff, top" {
	is_golden flows flows
	is_golden flows-wide flows -o wide --sort client
	is_golden flows-csv flows -o csv
	is_golden events events
	is_golden config-diff config diff
	is_golden top top --once
	is_golden top-reason top --once --by reason
	is_golden top-farm top --once --by farm
	is_golden top-client top --once --by client
}

# What fake.py answers; ages are of now.
VERBS='config diff
config show
events
farm drain pool
farm enable pool
farm list
flow reset server fe1
flows
metrics
reload
server disable fe1
server drain fe1 --wait 1m
server enable fe1
server health fe1 down
server list
server weight fe1 7
status
top --once
top --once --by client
top --once --by farm
top --once --by reason
version
who 10.0.0.40:13170
wire bypass
wire on'

in_each_format()
{
	local verb format

	while read -r verb; do
		for format in text wide json csv; do
			echo "== $verb -o $format"
			# shellcheck disable=SC2086 # words
			"$TMBRIDGE" -o $format $verb || echo "status $?"
		done
	done <<<"$VERBS" | sed -E 's/[0-9-]{10}T[0-9:.]+Z/TIME/g'
}

@test "each verb in each format" {
	local name verb

	[[ -z ${GOLDEN_WRITE:-} ]] || in_each_format >"$GOLDEN/formats.txt"
	diff "$GOLDEN/formats.txt" <(in_each_format 2>&1)
	# none is missing, but those that nobody answers: the file is the client's, and frames are
	sed -nE 's/^        \{"([a-z]+)", ("([a-z]+)"|NULL), .*/\1 \3/p' "$LAB_ROOT/bridge/client/cli.c" | sed 's/ $//' >"$LAB_DIR/verbs"
	[[ $(wc -l <"$LAB_DIR/verbs") -gt 20 ]]
	while read -r name; do
		[[ $name = capture || $name = "config check" ]] || [[ $'\n'$VERBS$'\n' = *$'\n'"$name"[$' \n']* ]]
	done <"$LAB_DIR/verbs"
}

# As it is at a terminal.
seen() # NAME VERB...
{
	[[ -z ${GOLDEN_WRITE:-} ]] || script -qec "$TMBRIDGE ${*:2}" /dev/null | tr -d '\r' >"$GOLDEN/$1.txt"
	diff "$GOLDEN/$1.txt" <(script -qec "$TMBRIDGE ${*:2}" /dev/null | tr -d '\r')
	[[ $(awk 'length > most { most = length } END { print most }' "$GOLDEN/$1.txt") = 100 ]]
}

@test "long addresses are cut to fit a terminal, and nowhere else" {
	seen flows-long flows server ocsfe06
	"$TMBRIDGE" flows server ocsfe06 | seek -F '[2001:db8:1234:5678:9abc:def0:1122:3344]:65535'
	script -qec "$TMBRIDGE flows server ocsfe06 -o wide" /dev/null | seek -F '[2001:db8:aaaa:bbbb:cccc:dddd:eeee:fffe]:64321'
	cp -r "$GOLDEN" "$LAB_DIR/long"
	sed -i 's/fd00::41/2001:db8:aaaa:bbbb:cccc:dddd:eeee:41/' "$LAB_DIR/long/status.json"
	lab_spawn long tmb /usr/bin/python3 "$BATS_TEST_DIRNAME/../golden/fake.py" "$LAB_DIR/long" eth6-eth7
	wait_until 10 test -S /run/tmbridge/eth6-eth7/status
	"$TMBRIDGE" -i eth6-eth7 status | diff - <(sed 's/fd00::41       /+c:dddd:eeee:41/' "$GOLDEN/status.txt") # by the end, which differs
	lab_kill long
}

@test "who, version, metrics, config show, what a change says, and a mistake" {
	is_golden who who 10.0.0.40:13170
	is_golden version version
	is_golden events-csv events -o csv
	is_golden metrics metrics
	is_golden config-show config show
	is_golden flow-reset flow reset server fe1
	is_golden reload reload
	is_golden server-drain server drain fe1 --wait 1m
	is_golden server-enable server enable fe1
	is_golden server-disable server disable fe1
	is_golden server-weight server weight fe1 7
	is_golden server-health server health fe1 down
	is_golden farm-drain farm drain pool
	is_golden farm-enable farm enable pool
	is_golden wire-bypass wire bypass
	is_golden wire-on wire on
	run "$TMBRIDGE" server drain fe11
	[[ $status = 4 && $output = "tmbridge: fe11: no such server (did you mean fe1?)" ]]
}

@test "several instances: which one, or an error that names them; none" {
	lab_spawn second tmb /usr/bin/python3 "$BATS_TEST_DIRNAME/../golden/fake.py" "$GOLDEN" eth2-eth3
	wait_until 10 test -S /run/tmbridge/eth2-eth3/status
	run "$TMBRIDGE" status
	[[ $status = 2 && $output = *"several are running here"*"-i eth0-eth1"*"-i eth2-eth3"* ]]
	"$TMBRIDGE" -i eth2-eth3 status | diff - "$GOLDEN/status.txt"
	run "$TMBRIDGE" status -i eth8-eth9
	[[ $status = 3 && $output = *"eth8-eth9: no tmbridge is running there, but here:"*"-i eth0-eth1"*"-i eth2-eth3"* ]]
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$TMBRIDGE" status -i eth0-eth1
	[[ $status = 3 && $output = *"you may not ask it"* ]]
	lab_kill first
	lab_kill second
	run "$TMBRIDGE" status
	[[ $status = 3 && $output = *"no tmbridge is running here"* ]]
}

# What becomes of a line in a bash that somebody sits at, when he presses Tab behind it.
tabbed() # LINE
{
	/usr/bin/python3 - "$1" "$LAB_ROOT/bridge/client/tmbridge.bash" "${TMBRIDGE%/*}" <<-'END'
		import os, pty, sys
		pid, fd = pty.fork()
		if not pid:
		    os.environ.update(PATH=sys.argv[3] + ":" + os.environ["PATH"], PS1="", TERM="dumb", HISTFILE="")
		    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
		os.write(fd, f"source {sys.argv[2]}; bind 'set bell-style none'\n{sys.argv[1]}\t\x01echo '<\x05>'\nexit\n".encode())
		said = b""
		try:
		    while part := os.read(fd, 4096): said += part
		except OSError: pass
		print([line for line in said.decode().splitlines() if line.startswith("<")][-1])
	END
}

@test "completion in a bash that somebody sits at" {
	lab_spawn third tmb /usr/bin/python3 "$BATS_TEST_DIRNAME/../golden/fake.py" "$GOLDEN" eth4-eth5
	wait_until 10 test -S /run/tmbridge/eth4-eth5/status
	[[ $(tabbed 'tmbridge ser') = '<tmbridge server >' ]]
	[[ $(tabbed 'tmbridge -i eth4') = '<tmbridge -i eth4-eth5 >' ]]
	[[ $(tabbed 'tmbridge -o json server drain ocsfe01') = '<tmbridge -o json server drain ocsfe01.contoso.com >' ]]
	[[ $(tabbed 'tmbridge -i eth4-eth5 flows state open and server ocsfe01') = '<tmbridge -i eth4-eth5 flows state open and server ocsfe01.contoso.com >' ]]
	[[ $(tabbed 'tmbridge -i eth9-eth9 server drain ocs') = '<tmbridge -i eth9-eth9 server drain ocs>' ]]
	[[ $(tabbed 'tmbridge server health ocsfe01.contoso.com d') = '<tmbridge server health ocsfe01.contoso.com down >' ]]
	lab_kill third
}

@test "completion knows verbs, and asks for names" {
	local COMPREPLY COMP_WORDS COMP_CWORD

	tmbridge()
	{
		echo pool,fe1,10.0.0.41
	}
	source "$LAB_ROOT/bridge/client/tmbridge.bash"
	COMP_WORDS=(tmbridge se) COMP_CWORD=1
	_tmbridge
	[[ ${COMPREPLY[*]} = server ]]
	COMP_WORDS=(tmbridge server drain f) COMP_CWORD=3
	_tmbridge
	[[ ${COMPREPLY[*]} = fe1 ]]
	# each verb of the program is one of completion's
	for verb in $(sed -nE 's/^        \{"([a-z]+)", .*/\1/p' "$LAB_ROOT/bridge/client/cli.c" | sort -u); do
		COMP_WORDS=(tmbridge "$verb") COMP_CWORD=1
		_tmbridge
		[[ " ${COMPREPLY[*]} " = *" $verb "* ]]
	done
}
