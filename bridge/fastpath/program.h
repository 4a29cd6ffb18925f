/*
 * The programs as they are loaded into the kernel, within this one: made by the Makefile of
 * fastpath.bpf.c. These are what kernels since 6.2 take (summed.bpf.h); see any_program.h.
 */
#ifndef BRIDGE_PROGRAM_H
#define BRIDGE_PROGRAM_H

#include <stddef.h>

extern const unsigned char fastpath_program[]; /* an ELF file */
extern const size_t fastpath_program_bytes;

#endif
