/*
 * What all programs are written with.
 */
#ifndef BRIDGE_MAP_BPF_H
#define BRIDGE_MAP_BPF_H

#include <stdint.h>

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define INLINE static __always_inline

/* An array that the process has in its memory; max_entries is set before it is loaded. */
#define MAP_ARRAY(name, value_type)                                                                \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(max_entries, 1);                                                            \
		__type(key, uint32_t);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps");

/* An array of n programs, for tail calls. */
#define MAP_PROGRAMS(name, n)                                                                      \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY);                                             \
		__uint(max_entries, (n));                                                          \
		__uint(key_size, sizeof(uint32_t));                                                \
		__uint(value_size, sizeof(uint32_t));                                              \
	} name SEC(".maps");

/* Room for a part of a frame, to be read by words (lb/bytes.h). */
#define PART(name, bytes) _Alignas(uint32_t) uint8_t name[bytes]

#endif
