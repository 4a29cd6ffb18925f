/*
 * The headers of a frame down to its innermost TCP or UDP header, tunnels' included.
 */
#ifndef BRIDGE_LAYERS_H
#define BRIDGE_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

/* Headers that say how long what they hold is, or have a sum of it. */
enum layer_kind { LAYER_IPV4, LAYER_IPV6, LAYER_UDP, LAYER_GRE, LAYER_PPPOE };

enum { LAYERS_MAX = 8 };

struct layer {
	enum layer_kind kind;
	uint32_t at; /* bytes from the frame's first one */
};

struct layers {
	struct layer layer[LAYERS_MAX]; /* outermost first */
	unsigned n;
	uint32_t l4;      /* where the innermost header is */
	uint8_t protocol; /* what it is: 6, TCP, or 17, UDP */
};

/*
 * Finds the headers of a frame of len bytes, all of them there, whose innermost TCP or UDP header
 * is known to be at l4. Behind VLAN tags, MPLS labels, PPPoE, IPv4, IPv6, GRE (RFC 2784, 2890) and
 * whatever tunnels in UDP there are (VXLAN, Geneve, GUE), if an IP header ends at l4. Returns false
 * if it can't be reached so.
 */
bool layers_find(const uint8_t *frame, uint32_t len, uint32_t l4, struct layers *ret);

/* If l4 is just where the frame's first IP header, of len bytes in all, ends. */
bool layers_is_plain(const uint8_t *frame, uint32_t len, uint32_t l4);

#endif
