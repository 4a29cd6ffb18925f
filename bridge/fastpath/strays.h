/*
 * Programs on the ports whose maps aren't to be found, as they were pinned in a file system that
 * has gone, such as one of `ip netns exec` or of a container, or can't be read, as another version
 * made them. How the ports were set before these came isn't known any more.
 */
#ifndef BRIDGE_STRAYS_H
#define BRIDGE_STRAYS_H

#include "pins.h"
#include "../cable/cable.h"

struct mnl_socket;

/*
 * Removes them, with what is pinned of them: they carry the wire by themselves, and beside packet
 * sockets each frame twice. Logs what may stay. Returns 0, or -ENOENT if there are none.
 */
int strays_remove(struct mnl_socket *socket, const struct pins *pins,
                  const char *const names[NSIDES], const struct cable *cable);

/* Logs what may stay of them where other programs are about to take their places. */
void strays_tell(struct mnl_socket *socket, const char *const names[NSIDES],
                 const struct cable *cable);

#endif
