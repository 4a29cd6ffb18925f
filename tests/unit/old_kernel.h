/*
 * A kernel that doesn't take the programs that it is given first.
 */
#ifndef UNIT_OLD_KERNEL_H
#define UNIT_OLD_KERNEL_H

#include <stdbool.h>

/* The next programs are refused, once. */
void old_kernel_refuse(void);
bool old_kernel_refuses(void);

/* If it has come to that. */
bool old_kernel_has_refused(void);

#endif
