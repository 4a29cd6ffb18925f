/*
 * The bouncer as it is loaded into the kernel: made by the Makefile of bouncer.bpf.c.
 */
#ifndef BRIDGE_BOUNCER_PROGRAM_H
#define BRIDGE_BOUNCER_PROGRAM_H

#include <stddef.h>

extern const unsigned char bouncer_program[]; /* an ELF file */
extern const size_t bouncer_program_bytes;

#endif
