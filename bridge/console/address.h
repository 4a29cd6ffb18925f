/*
 * Addresses, as they are written.
 */
#ifndef CONSOLE_ADDRESS_H
#define CONSOLE_ADDRESS_H

#include <stdbool.h>

/* Whether only this machine can reach it. */
bool address_is_loopback(const char *address);

/* Whether both are the same name, in any case, or the same address, however it is written. */
bool address_is_same(const char *a, const char *b);

#endif
