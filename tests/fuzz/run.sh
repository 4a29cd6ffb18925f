#!/bin/bash
#
# Runs fuzzers that have been built, AT_ONCE of them at a time (1): tests/fuzz/run.sh SECONDS NAME...
#
# A finding is kept in .build/fuzz and fails the run; it then becomes a unit test. A fuzzer that got no
# further than its seeds has shown nothing, and fails as well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

CAPTURES=${CAPTURES:-../shared/captures/malformed}
BUILT=.build/debug
DIR=.build/fuzz # what was found and learnt
SECONDS_EACH=$1
shift

# Those of the engine are frames and sequences of the captures; those of lb.ini the samples there are.
make_seeds()
{
	rm -rf "$DIR/start"
	mkdir -p "$DIR"/start/{frame,sequence,ini,adopt,check,request}
	"$BUILT/seeds" "$DIR/start/frame" "$DIR/start/sequence" \
		$(find "$CAPTURES" -name '*.pcap*' 2>/dev/null | sort)
	for ini in cfg/example.ini pcaps/*/lb.ini; do
		cp "$ini" "$DIR/start/ini/${ini//\//-}"
	done
	# a script, what the server has to say, that it accepts, and that it says it
	printf '\\0\\4\\2abc\\0\\10abc 200 \\0\\4\\0\\0\\0\\10\\23' >"$DIR/start/check/prefix"
	printf '\\101\\4\\2\\0\\3\\20abc\\0\\10 abc5. .\\0\\4\\0\\0\\0\\4\\21\\4\\0\\4\\0\\4\\23\\3\\20\\0' >"$DIR/start/check/number"
	grep -ohE '"[a-z0-9_]+"' cfg/*.c lb/rules.c | sort -u >"$DIR/ini.dict"
	printf 'flows client 10.0.0.0/24 and not state open and age over 10m\nxxxxxxxxxxxxxxxx' >"$DIR/start/request/flows"
	printf '[fd00::1]:443 and server fe1 and farm web and bytes under 1M\n' >"$DIR/start/request/bytes"
	printf 'server drain fe1 --wait 15m --then reset\n' >"$DIR/start/request/drain"
	{ grep -ohE '"[a-z0-9_]+"' bridge/operator/{filter,verbs}.c; echo '"10.0.0.1"'; echo '"fe1"'; } | sort -u >"$DIR/request.dict"
}

options() # NAME
{
	case $1 in
	ini) echo "-max_len=4096 -dict=$DIR/ini.dict" ;;
	request) echo "-max_len=512 -dict=$DIR/request.dict" ;;
	frame) echo "-max_len=1600" ;;
	*) echo "-max_len=4096" ;;
	esac
}

fuzz() # NAME
{
	local log="$DIR/$1.log" seeds runs

	mkdir -p "$DIR/$1.corpus"
	# shellcheck disable=SC2046
	setpriv --pdeathsig KILL "$BUILT/fuzz_$1" -max_total_time="$SECONDS_EACH" \
		-rss_limit_mb=4096 -artifact_prefix="$DIR/$1-" $(options "$1") \
		"$DIR/$1.corpus" "$DIR/start/$1" >"$log" 2>&1 || {
		tail -40 "$log"
		echo "not ok fuzz $1: found something, see $DIR"
		return 1
	}
	seeds=$(find "$DIR/start/$1" -type f | wc -l)
	runs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")
	[[ $runs -gt $seeds ]] || {
		echo "not ok fuzz $1: $runs runs, of $seeds seeds"
		return 1
	}
	echo "ok fuzz $1: $runs runs in $SECONDS_EACH s"
}

if [[ ${FUZZ_ONE:-} = yes ]]; then
	fuzz "$1"
	exit
fi
make_seeds
export FUZZ_ONE=yes
printf '%s\n' "$@" | setpriv --pdeathsig KILL xargs -P "${AT_ONCE:-1}" -I NAME \
	setpriv --pdeathsig KILL tests/fuzz/run.sh "$SECONDS_EACH" NAME
