/*
 * Datagrams to another process of the machine, over a Unix socket (unix(7)).
 */
#ifndef BRIDGE_DATAGRAM_H
#define BRIDGE_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A socket that is connected to path, which names an abstract one if it begins with '@'. Returns
 * the descriptor, or a negative errno. It needs to be asked for before the process shuts itself in.
 */
int datagram_connect(const char *path);

/* Sends bytes, and waits for nobody: false if they are lost. */
bool datagram_send(int fd, const void *data, size_t bytes);

#endif
