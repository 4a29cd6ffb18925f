/*
 * The program feed as it is loaded into the kernel: made by the Makefile of feed.bpf.c.
 */
#ifndef BENCH_FEED_PROGRAM_H
#define BENCH_FEED_PROGRAM_H

#include <stddef.h>

extern const unsigned char feed_program[]; /* an ELF file */
extern const size_t feed_program_bytes;

#endif
