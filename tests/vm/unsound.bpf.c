/* What no verifier lets pass. */
#define UNSOUND 1
#include "sound.bpf.c"
