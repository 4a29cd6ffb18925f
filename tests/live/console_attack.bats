# bats file_tags=apart
# Who attacks the console, and what a tmbridge that is broken does to it. No lab: what answers is made up.

source "$BATS_TEST_DIRNAME/../lab.sh"

@test "who misuses the console, or is broken behind it, harms nobody else" {
	ip link set lo up
	run timeout 600 /usr/bin/python3 "$BATS_TEST_DIRNAME/console_attack.py" "$CONSOLE" "$LAB_DIR"
	grep -v '^ok' <<<"$output" || true
	[[ $status = 0 && $(grep -c ^ok <<<"$output") -gt 100 && $output != *"not ok"* ]]
}
