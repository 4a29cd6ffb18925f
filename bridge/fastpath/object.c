#include "object.h"

#include "../process/log.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OBJECT_LINE_BYTES = 1024 };

static int say(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[OBJECT_LINE_BYTES];

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	log_debug("%s", line);
	return 0;
}

int object_open(const void *bytes, size_t n, struct bpf_object **ret)
{
	libbpf_set_print(say);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	*ret = bpf_object__open_mem(bytes, n, NULL);
	return *ret ? 0 : -errno;
}

int object_map(const struct bpf_object *object, const char *name, struct object_memory *ret)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const uint32_t elements = bpf_map__max_entries(map);
	size_t bytes = (size_t)bpf_map__value_size(map) * elements;
	void *at;

	bytes = (bytes + page - 1) & ~(page - 1);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (at == MAP_FAILED)
		return -errno;
	*ret = (struct object_memory){at, bytes, elements};
	return 0;
}

void object_unmap(const struct object_memory *memory)
{
	if (memory->at)
		munmap(memory->at, memory->bytes);
}

int object_program(const struct bpf_object *object, const char *name, int *ret)
{
	const struct bpf_program *program = bpf_object__find_program_by_name(object, name);

	*ret = program ? bpf_program__fd(program) : -1;
	return program ? 0 : -ENOENT;
}
