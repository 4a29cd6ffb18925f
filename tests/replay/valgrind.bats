# The optimized program under valgrind: memory that is used before it is written (which the sanitizers
# don't see), used after it is freed, or lost.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/recordings.sh"

UNDER="valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite"

setup()
{
	cd "$BATS_TEST_TMPDIR"
}

@test "valgrind finds nothing in a replay, which sends what was recorded" {
	for_recordings gives_the_same
}
