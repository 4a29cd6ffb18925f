/*
 * A program's object, as libbpf has it, and its arrays in this process's memory.
 */
#ifndef BRIDGE_OBJECT_H
#define BRIDGE_OBJECT_H

#include <stddef.h>
#include <stdint.h>

struct bpf_object;

struct object_memory {
	void *at; /* NULL: none */
	size_t bytes;
	uint32_t elements;
};

/*
 * Opens an object that stands in memory. What libbpf prints, such as the verifier's reasons, is
 * logged with --verbose only. Returns 0 and sets *ret, which is the caller's to close, or a
 * negative errno.
 */
int object_open(const void *bytes, size_t n, struct bpf_object **ret);

/* Maps an array of a loaded object, by its name. Returns 0 and sets *ret, or a negative errno. */
int object_map(const struct bpf_object *object, const char *name, struct object_memory *ret);
void object_unmap(const struct object_memory *memory);

/* Sets *ret to the descriptor of a loaded object's program, by its name. Returns 0, or -ENOENT: it
 * has none. */
int object_program(const struct bpf_object *object, const char *name, int *ret);

#endif
