/*
 * The programs of program.h for kernels that don't take those.
 */
#ifndef BRIDGE_ANY_PROGRAM_H
#define BRIDGE_ANY_PROGRAM_H

#include <stddef.h>

extern const unsigned char fastpath_any_program[]; /* an ELF file */
extern const size_t fastpath_any_program_bytes;

#endif
