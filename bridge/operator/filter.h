/*
 * Which flows are meant: "client 10.0.0.0/24 and not state resting and idle over 10m".
 */
#ifndef BRIDGE_FILTER_H
#define BRIDGE_FILTER_H

#include "request.h"
#include "../../lb/lb.h"

enum { FILTER_TERMS = 16, FILTER_WHY_BYTES = 160 };

enum filter_key {
	FILTER_ANY, /* an address, or address and port, of any of the four */
	FILTER_CLIENT,
	FILTER_VIP,
	FILTER_SNAT,
	FILTER_TO, /* the server's address */
	FILTER_SERVER,
	FILTER_FARM,
	FILTER_STATE,
	FILTER_AGE, /* ms */
	FILTER_IDLE,
	FILTER_BYTES,
};

struct filter_term {
	enum filter_key key;
	bool negated;
	bool over;          /* the flow's number is to be over this one; else under it */
	struct ip6 address; /* of IPv4 as ip6_mapped() */
	uint8_t prefix;     /* so many bits of it count */
	uint16_t port;      /* 0: any */
	uint16_t index;     /* of a server or farm of the rules */
	uint16_t states;    /* 1 << enum flow_state */
	uint64_t number;    /* ms, or bytes, as the key says */
};

struct filter {
	struct filter_term terms[FILTER_TERMS]; /* all of which must hold */
	unsigned n;
	bool resting; /* flows that have ended are meant as well */
};

/* Why an expression is none. */
struct filter_why {
	char text[FILTER_WHY_BYTES];
	const char *nearest; /* or NULL */
	bool no_such_object; /* a name that nobody has */
};

/* Makes one of the words of a request, with names as these rules have them. No words mean all flows
 * that are live. False, and sets *ret_why, if that can't be. */
bool filter_parse(const struct request *request, const struct rules *rules, struct filter *ret,
                  struct filter_why *ret_why);

/* Makes one of a place, as below, and the name of a server, or NULL: flows that have ended are
 * meant as well. */
bool filter_who(const char *place, const char *server, const struct rules *rules,
                struct filter *ret, struct filter_why *ret_why);

/* Reads ADDRESS, ADDRESS/BITS, ADDRESS:PORT, [ADDRESS]:PORT or :PORT, and sets that in *ret; false
 * if it is none of these. And if an address (of IPv4 as ip6_mapped()) and port are there. */
bool filter_place(const char *word, struct filter_term *ret);
bool filter_is_place(const struct filter_term *term, const struct ip6 *address, unsigned port);

/* A flow as it is shown, which needs no table any more. */
struct flow_view {
	struct ip6 addresses[4]; /* by enum flow_view_address, of IPv4 as ip6_mapped() */
	be16 ports[4];
	uint16_t server;
	uint8_t state; /* enum flow_state */
	bool is_ipv6;
	uint8_t side; /* of the client */
	uint64_t age_ms, idle_ms;
	uint64_t bytes[2], packets[2]; /* by enum end */
};

enum flow_view_address { VIEW_CLIENT, VIEW_VIP, VIEW_SNAT, VIEW_TO };

/* Makes the view of a flow that isn't free, in its worker's thread. */
void flow_view(const struct balance *balance, uint32_t flow, lb_time now, struct flow_view *ret);

/* What flows can be sorted by. */
enum flow_number {
	NUMBER_AGE,
	NUMBER_IDLE,
	NUMBER_CLIENT_BYTES,
	NUMBER_SERVER_BYTES,
	NUMBER_CLIENT_PACKETS,
	NUMBER_SERVER_PACKETS,
};

/* The number that the flow has now, in its worker's thread. */
uint64_t flow_number(const struct balance *balance, uint32_t flow, enum flow_number number,
                     lb_time now);

/* Sets *ret to the number that records show by that name, as "age_ms"; false if there is none. */
bool flow_number_named(const char *name, enum flow_number *ret);

/* If it is meant. */
bool filter_matches(const struct filter *filter, const struct rules *rules,
                    const struct flow_view *view);

/* "half_open", "open", "closing", "reset", "resting" */
const char *flow_state_name(enum flow_state state);

#endif
