#include "strays.h"

#include "attached.h"
#include "punt.h"
#include "../process/log.h"

#include <errno.h>

static void tell(const char *name, const struct link *port)
{
	log_warning("%s: how it was set before isn't known any more, so what tmbridge had "
	            "set may stay: unless that is meant, when none runs there any more, "
	            "ip link set %s promisc off; sysctl -w net.ipv4.conf.%s.arp_ignore=0 "
	            "net.ipv6.conf.%s.disable_ipv6=0",
	            name, port->name, port->name, port->name);
}

int strays_remove(struct mnl_socket *socket, const struct pins *pins,
                  const char *const names[NSIDES], const struct cable *cable)
{
	struct link punt;
	bool any = false;

	for (unsigned side = 0; side < NSIDES; side++) {
		const struct link *port = &cable_state(cable, (enum side)side)->link;

		if (!port->index || !attached_remove_strays(socket, port->index))
			continue;
		any = true;
		if (punt_find(socket, port->index, &punt) == 0)
			punt_remove(socket, &punt);
		tell(names[side], port);
	}
	if (!any)
		return -ENOENT;
	pins_clear(pins);
	return 0;
}

void strays_tell(struct mnl_socket *socket, const char *const names[NSIDES],
                 const struct cable *cable)
{
	for (unsigned side = 0; side < NSIDES; side++) {
		const struct link *port = &cable_state(cable, (enum side)side)->link;

		if (port->index && attached_has_strays(socket, port->index))
			tell(names[side], port);
	}
}
