# The engine's benchmark works: it measures what it says, into JSON of the promised form.

source "$BATS_TEST_DIRNAME/../lab.sh"

@test "a trial of the engine's benchmark" {
	"$LAB_ROOT/.build/$VARIANT/bench-engine" -q -r 3 -c 3000 -j "$BATS_TEST_TMPDIR/json" 1000 2000 \
		>"$BATS_TEST_TMPDIR/table"
	jq -e 'def figure: keys == ["max", "median", "min"] and 0 < .min and .min <= .median and .median <= .max;
		keys == ["adoption_ms", "bytes_per_flow", "connections_per_s", "engine", "expiry_ns", "new_flow_ns"] and
		(.engine | map([.flows, .frame_bytes]) == [[1000, 64], [1000, 1500], [2000, 64], [2000, 1500]] and
			all(.[]; (.ns_per_packet | figure) and (.floor_ns_per_packet | figure))) and
		all(.adoption_ms, .connections_per_s, .expiry_ns, .new_flow_ns; figure) and
		.bytes_per_flow > 100' "$BATS_TEST_TMPDIR/json"
	grep -q '^established *1000 flows, *64 bytes' "$BATS_TEST_TMPDIR/table"
}
