/*
 * The guard as it is loaded into the kernel: made by the Makefile of guard.bpf.c.
 */
#ifndef BRIDGE_GUARD_PROGRAM_H
#define BRIDGE_GUARD_PROGRAM_H

#include <stddef.h>

extern const unsigned char guard_program[]; /* an ELF file */
extern const size_t guard_program_bytes;

#endif
