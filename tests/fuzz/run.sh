#!/bin/bash
#
# Runs fuzzers that have been built, one after the other: tests/fuzz/run.sh SECONDS NAME...
#
# A finding is kept in .build/fuzz and fails the run; it then becomes a unit test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

CAPTURES=${CAPTURES:-../shared/captures/malformed}
SECONDS_EACH=$1
shift

# Whole captures are no single frames, but full of pieces of some.
seeds() # NAME
{
	case $1 in
	ini) echo cfg ;;
	*) [[ ! -d $CAPTURES ]] || echo "$CAPTURES" ;;
	esac
}

for name; do
	mkdir -p ".build/fuzz/$name.corpus"
	echo "fuzz $name, $SECONDS_EACH s"
	# shellcheck disable=SC2046
	timeout -k 10 $((SECONDS_EACH + 60)) ".build/fuzz/$name" -max_total_time="$SECONDS_EACH" \
		-max_len=4096 -len_control=0 -rss_limit_mb=4096 -artifact_prefix=".build/fuzz/$name-" \
		".build/fuzz/$name.corpus" $(seeds "$name") >".build/fuzz/$name.log" 2>&1 || {
		tail -40 ".build/fuzz/$name.log"
		echo "fuzz $name: found something, see .build/fuzz"
		exit 1
	}
	grep -E '^Done' ".build/fuzz/$name.log"
done
