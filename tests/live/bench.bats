# The live benchmark works: its figures are there, and ratios are those of its values.

# bats file_tags=plain
source "$BATS_TEST_DIRNAME/../lab.sh"

teardown()
{
	lab_down
}

@test "two contenders, one round" {
	RUNS=1 SECONDS_EACH=1 CONTENDERS="tmbridge bridge" FIGURES=bulk1 JSON=/run/bench.json \
		"$LAB_ROOT/tests/bench/live.sh" >/run/bench.out
	jq -e '.live.figures[0] | .name == "bulk1" and
		(.contenders | map(.contender) == ["tmbridge", "bridge"] and
			all(.[]; .value.median > 0 and .machine_cpu.median > 0)) and
		(.contenders[0].process_cpu.median > 0) and
		(.ratios == [.ratios[0]]) and .ratios[0].to == "bridge" and
		.ratios[0].ratio.median == .contenders[0].value.median / .contenders[1].value.median' /run/bench.json
	grep -q '^bulk1 *tmbridge' /run/bench.out
}
