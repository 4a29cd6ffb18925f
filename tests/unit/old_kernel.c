/*
 * The linker sends libbpf's loading of programs through here, as memory.c has it.
 */
#include "old_kernel.h"

#include <bpf/libbpf.h>
#include <errno.h>

static bool refuses, has_refused;

int __wrap_bpf_object__load(struct bpf_object *object);
int __real_bpf_object__load(struct bpf_object *object);

int __wrap_bpf_object__load(struct bpf_object *object)
{
	if (!refuses)
		return __real_bpf_object__load(object);
	refuses = false;
	has_refused = true;
	return -EACCES;
}

void old_kernel_refuse(void)
{
	refuses = true;
	has_refused = false;
}

bool old_kernel_refuses(void)
{
	return refuses;
}

bool old_kernel_has_refused(void)
{
	return has_refused;
}
