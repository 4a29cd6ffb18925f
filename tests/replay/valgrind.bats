# The optimized program under valgrind: memory that is used before it is written (which the sanitizers
# don't see), used after it is freed, or lost.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/recordings.sh"

VALGRIND="valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite"

# Valgrind reads at each start what there is to know of functions and lines, which takes a quarter of such a short run: so
# that is left out, but for a replay that fails, which is done once more for its messages.
setup()
{
	cd "$BATS_TEST_TMPDIR"
	objcopy --strip-debug "$TMBRIDGE" stripped
}

is_sound() # RECORDING
{
	UNDER="$VALGRIND --vgdb=no --read-inline-info=no" TMBRIDGE=$PWD/stripped gives_the_same "$1" >short 2>&1 && return
	cat short
	UNDER=$VALGRIND gives_the_same "$1"
	return 1
}

@test "valgrind finds nothing in a replay, which sends what was recorded" {
	for_recordings is_sound
}
