/*
 * What the balancer is told to do: lb.ini after checking, as plain data.
 *
 * cfg/ builds it, lb/ and bridge/ read it, and nobody changes it: a reload builds another one.
 * Everything hangs off one struct rules and goes with rules_free(). Whatever cfg/ lets through is
 * consistent: the servers of a farm stand together, ports ascend, lists are free of duplicates,
 * indices are in range, and the defaults are filled in.
 *
 * An address (be32) is an IPv4 address or an IPv6 address's name: see name.h. All addresses of a
 * farm are of one family.
 *
 * Farms may have the same VIP: then they have different service ports, and the same `vlan`. A SNAT
 * address is no VIP but the farm's own.
 */
#ifndef LB_RULES_H
#define LB_RULES_H

#include "frame.h"
#include "name.h"
#include "prefixes.h"
#include "script.h"

enum {
	RULES_NAME_BYTES = 64, /* a farm's or server's name, with its NUL */
	RULES_FARMS_MAX = 1024,
	RULES_SERVERS_MAX = 4096, /* of all farms together */
	/* the same, with those that are no longer in the file but have flows */
	RULES_SERVERS_KEPT_MAX = 2 * RULES_SERVERS_MAX,
	RULES_SNAT_MAX = 256, /* addresses of one farm */
	/* further ones, which only its flows from before a reload have */
	RULES_SNAT_KEPT_MAX = 256,
	RULES_WORKERS_MAX = 64,
	/*
	 * SNAT ports are unique for each (SNAT address, server's address and port), each such pool
	 * being a bitmap, whatever farms it serves. A farm of more service ports than this (a range
	 * such as 50000-59999) has one pool for each (SNAT address, server), whatever the port:
	 * fewer connections, but bounded memory.
	 */
	RULES_POOLED_PORTS_MAX = 64,
	RULES_POOLS_MAX = 32768, /* 8 KiB each */
	RULES_NAMES_MAX = 16384, /* IPv6 addresses, those of earlier rules included */
	RULES_CONNECTIONS_MAX = 64 << 20,
	RULES_HALF_OPEN_MAX = 1 << 20,
	RULES_WEIGHT_MAX = 100,
	RULES_NETS_MAX = 64,           /* addresses of the host */
	RULES_CHECKS_MAX = 16,         /* of one farm: more than a few say nothing new */
	RULES_NAMED_SCRIPTS_MAX = 256, /* [check NAME] sections */
	RULES_NO_SCRIPT = UINT16_MAX,
	RULES_CLIENT_CONNECTIONS_MAX = 50000,
	RULES_CLIENT_RATE_MAX = 1000000,
	RULES_PREFIXES_MAX = 100000,     /* of one list */
	RULES_PREFIXES_ALL_MAX = 400000, /* of all */
	RULES_FILTERS_MAX = 64,          /* [filter NAME] sections */
	RULES_FILTER_RATE_MAX = 10000000,
};

static_assert(RULES_FARMS_MAX * RULES_CHECKS_MAX + RULES_NAMED_SCRIPTS_MAX < RULES_NO_SCRIPT,
              "rules_farm.scripts");

/*
 * Source ports of probes: never handed out to flows, whatever snat_ports says. A probe uses them in
 * turn, so that it doesn't meet what an earlier one may have left.
 */
enum { RULES_PROBE_PORT = 1008, RULES_PROBE_PORTS = 16 };

static inline bool rules_is_probe_port(be16 port)
{
	return be16_get(port) >= RULES_PROBE_PORT &&
	       be16_get(port) < RULES_PROBE_PORT + RULES_PROBE_PORTS;
}

#define SERVER_NONE UINT16_MAX /* no number of rules.servers[] */

/*
 * X(enumerator, word in lb.ini and the statistics, by load, by weight): how a server is chosen, and
 * what the order of the servers (sched.c) goes by. One that chooses otherwise has a function of its
 * own in pick.c, and does with weights what it wants.
 */
#define RULES_SCHEDULERS(X)                                                                        \
	X(SCHED_WLC, "wlc", true, true)                                                            \
	X(SCHED_LC, "lc", true, false)                                                             \
	X(SCHED_WRR, "wrr", false, true)                                                           \
	X(SCHED_RR, "rr", false, false)                                                            \
	X(SCHED_SOURCE, "source", false, false)                                                    \
	X(SCHED_HASH, "hash", false, false)                                                        \
	X(SCHED_FASTEST, "fastest", false, true)

/* X(enumerator, word) */
#define RULES_STATES(X)                                                                            \
	X(STATE_ACTIVE, "active")                                                                  \
	X(STATE_STANDBY, "standby")                                                                \
	X(STATE_LAST_RESORT, "last_resort")                                                        \
	X(STATE_DRAIN, "drain")                                                                    \
	X(STATE_DISABLED, "disabled")

/* X(enumerator, word): what becomes of a frame that a filter matches. */
#define RULES_FILTER_ACTIONS(X)                                                                    \
	X(ON_MATCH_PASS, "pass")                                                                   \
	X(ON_MATCH_DROP, "drop")                                                                   \
	X(ON_MATCH_RESET, "reset")                                                                 \
	X(ON_MATCH_COUNT, "count")

/* X(enumerator, word): how tmbridge stands in the network. See way.h. */
#define RULES_MODES(X)                                                                             \
	X(MODE_TRANSPARENT, "transparent")                                                         \
	X(MODE_ROUTED, "routed")                                                                   \
	X(MODE_ONE_ARMED, "one-armed")

#define RULES_ENUM(enumerator, ...) enumerator,
enum rules_scheduler { RULES_SCHEDULERS(RULES_ENUM) RULES_NSCHEDULERS };
enum rules_state { RULES_STATES(RULES_ENUM) RULES_NSTATES };
enum rules_mode { RULES_MODES(RULES_ENUM) RULES_NMODES };
enum rules_filter_action { RULES_FILTER_ACTIONS(RULES_ENUM) RULES_NFILTER_ACTIONS };
#undef RULES_ENUM

enum rules_on_limit { ON_LIMIT_RESET, ON_LIMIT_DROP };
enum rules_on_idle { ON_IDLE_RESET, ON_IDLE_DROP };
enum rules_all_down { ALL_DOWN_OUT, ALL_DOWN_KEEP };
enum rules_on_down { ON_DOWN_RESET, ON_DOWN_KEEP };
enum rules_fast_path { FAST_PATH_AUTO, FAST_PATH_KERNEL, FAST_PATH_OFF };
enum rules_on_exit { ON_EXIT_KEEP, ON_EXIT_CUT };

/* TCP ports first..last, both included, in host order. */
struct port_range {
	uint16_t first, last;
};

/* An address of the host, and the subnet that it is in; of IPv4 as ip6_mapped(). */
struct rules_net {
	struct ip6 address;
	uint8_t prefix; /* bits, of 128 */
	uint8_t side;   /* enum side, or NSIDES: of another interface */
};

struct rules_nets {
	struct rules_net all[RULES_NETS_MAX];
	unsigned n;
};

struct rules_farm {
	char name[RULES_NAME_BYTES];
	be32 vip;
	be16 *ports; /* service ports of the VIP, ascending, at least one; no other farm's of it */
	unsigned nports;
	be16 *server_ports; /* the server's port for each of them, or NULL: the same */
	be16 *checks; /* ports of the servers to probe, ascending; none = these are always up */
	unsigned nchecks;
	uint16_t *scripts; /* by check: see rules_script(); NULL: all are TCP connects alone */
	uint16_t observe;  /* connections in a row without an answer, to be probed; 0: any number */
	be16 agent;        /* port of the servers' agents, or 0: they have none */
	uint32_t check_interval_ms, check_timeout_ms;
	uint32_t fall, rise;
	enum rules_scheduler scheduler;
	uint32_t persist_ms; /* 0 = off */
	uint32_t idle_timeout_ms;
	enum rules_on_idle on_idle;
	enum rules_on_down on_down;
	enum rules_all_down all_down;
	be32 *snat; /* SNAT addresses; none = destination rewriting only (snat = off) */
	unsigned nsnat;
	unsigned nkept; /* further ones, behind these: that flows have though the file has them no
	                   more */
	bool keeps_off; /* likewise: flows without SNAT, though there are addresses for it now */
	struct port_range
	        *snat_ports; /* ascending, disjoint; the VIP's service ports not yet taken out */
	unsigned nsnat_ports;
	uint16_t vlan;             /* `vlan = N`, or 0 without: see rules_farm_vlan() */
	char *connlog;             /* a path, "-" for stdout, or NULL */
	unsigned server, nservers; /* its servers: rules.servers[server] and following */
	bool gone;                 /* no longer in the file: its flows are being reset */
	/* limits for clients: see limits.h */
	struct prefixes access, exempt;
	char *allow, *deny, *client_exempt; /* the lists as the file has them, or NULL */
	bool allows_only;                   /* who is in none of the former two is refused */
	uint32_t client_connections;        /* 0 = no limit, as are: */
	uint32_t client_rate;               /* new ones a second, and */
	uint32_t client_burst;              /* at once; 0 = as many as in a second */
	uint32_t block_for_ms;              /* 0 = not at all */
	enum rules_on_limit on_limit;
};

struct rules_server {
	char name[RULES_NAME_BYTES];
	unsigned farm; /* rules.farms[farm] */
	be32 address;
	uint8_t weight; /* 0 = drain */
	enum rules_state state;
	bool has_mac;
	struct mac mac;           /* if has_mac; else resolved by ARP */
	uint32_t max_connections; /* 0 = no limit */
	uint16_t vlan;            /* the same, or its farm's: see rules_server_vlan() */
	be32 next;    /* the address whose MAC address frames for it get: see way_settle() */
	uint8_t side; /* by which side */
	bool gone;    /* no longer in the file: its flows live on until they end */
	/* after a reload (takeover.h): */
	uint16_t was; /* 1 + the number of the server before that it follows upon; 0: it is new */
	bool is_heir; /* of several that follow upon the same one, this one has its flows */
};

/* What is done with frames that an expression matches, before anything else is. */
struct rules_filter {
	char name[RULES_NAME_BYTES];
	char *match;   /* a pcap-filter expression as the file has it; "": any frame */
	uint8_t sides; /* 1 << enum side that frames arrive by */
	enum rules_filter_action action;
	uint32_t rate; /* packets a second, above which they are dropped; 0: no limit */
	bool log;
};

struct rules {
	enum rules_mode mode;
	bool routing;            /* routed: the host routes what isn't ours */
	struct rules_nets nets;  /* one-armed, routed: the host's addresses */
	be32 gateway4, gateway6; /* what is in no subnet goes there; 0.0.0.0: nowhere */
	bool has_outside_mac, has_inside_mac;
	struct mac outside_mac, inside_mac;
	uint32_t max_connections; /* that are open or closing at a time */
	uint32_t max_half_open;   /* and that aren't open yet, beside them; 0: half as many */
	unsigned workers;         /* 0 = one for each processor */
	bool rush;        /* workers may go before all other threads while much waits; live only */
	bool link_mirror; /* a dead link on one side takes the other one down */
	enum rules_fast_path fast_path; /* programs in the kernel, live only */
	enum rules_on_exit on_exit;     /* if these go on without the process */
	struct rules_farm *farms;
	unsigned nfarms;
	struct rules_server *servers; /* by farm, in the file's order within it */
	unsigned nservers;
	struct script *scripts; /* of checks: first those of [check NAME] sections */
	unsigned nscripts;
	struct ip6 *names; /* IPv6 addresses, each once: what name_of() names */
	uint32_t nnames;
	struct rules_filter *filters; /* in the file's order, which is that of their turns */
	unsigned nfilters;
	char **lists; /* files with prefixes that were read too */
	unsigned nlists;
};

/* Releases rules and all that hangs off them; rules may be NULL. */
void rules_free(struct rules *rules);

/* If frames that aren't for tmbridge go to the host's stack, and none crosses: any mode but
 * transparent. */
static inline bool rules_has_stack(const struct rules *rules)
{
	return rules->mode != MODE_TRANSPARENT;
}

/* The IPv6 address of that name, which must be one of the rules'. */
static inline const struct ip6 *rules_ip6(const struct rules *rules, be32 name)
{
	return &rules->names[name_index(name)];
}

/*
 * Gives an IPv6 address a name (name.h), or finds the one that it has, while rules are built.
 * Returns 0, -ENOMEM, or -E2BIG if there are too many.
 */
int rules_name(struct rules *rules, const struct ip6 *ip, be32 *ret);

/* If the server gets no connections but may have flows still: it is disabled, or no longer in the
 * file. */
bool rules_is_left(const struct rules_server *server);

/* The words of lb.ini and of the statistics, by these enums; NULL behind the last. */
extern const char *const rules_scheduler_words[RULES_NSCHEDULERS + 1];
extern const char *const rules_state_words[RULES_NSTATES + 1];
extern const char *const rules_mode_words[RULES_NMODES + 1];
extern const char *const rules_filter_action_words[RULES_NFILTER_ACTIONS + 1];

/* How many addresses in rules_farm.snat are ours: those that only old flows have included. */
static inline unsigned rules_all_snat(const struct rules_farm *farm)
{
	return farm->nsnat + farm->nkept;
}

/*
 * The VLAN in which the farm's addresses are, or the server is; in other VLANs the same addresses
 * are somebody else's. Without `vlan` a farm is in all of them (VLAN_ANY), and so are its servers.
 * A server with `vlan = off` in a farm that has one is where there are no tags (VLAN_NONE). Our own
 * requests have the rule's vlan for a tag, or none if that is 0.
 */
static inline uint16_t rules_farm_vlan(const struct rules_farm *farm)
{
	return farm->vlan ? farm->vlan : VLAN_ANY;
}

static inline uint16_t rules_server_vlan(const struct rules *rules, unsigned server)
{
	const uint16_t vlan = rules->servers[server].vlan;

	return vlan || rules->farms[rules->servers[server].farm].vlan ? vlan : VLAN_ANY;
}

/* If the farm's servers have agents. An agent is probed as a check is; its number is the one behind
 * those of all checks. */
static inline bool rules_has_agent(const struct rules_farm *farm)
{
	return be16_get(farm->agent);
}

static inline unsigned rules_probes(const struct rules_farm *farm)
{
	return farm->nchecks + rules_has_agent(farm);
}

/* What the farm's check of that index sends and expects; NULL: it is a TCP connect alone. */
static inline const struct script *rules_script(const struct rules *rules,
                                                const struct rules_farm *farm, unsigned check)
{
	if (!farm->scripts || farm->scripts[check] == RULES_NO_SCRIPT)
		return NULL;
	return &rules->scripts[farm->scripts[check]];
}

/* The index of port among the farm's service ports, or -1. (Which farm of a VIP serves a port:
 * services.h.) */
int rules_service(const struct rules_farm *farm, be16 port);

/* The servers' port to which the connections of a service (an index of the farm's ports) go. */
static inline be16 rules_server_port(const struct rules_farm *farm, unsigned service)
{
	return farm->server_ports ? farm->server_ports[service] : farm->ports[service];
}

/* The pools of SNAT ports that each (SNAT address, server) of farm has at most: see
 * RULES_POOLED_PORTS_MAX. */
unsigned rules_pools_per_server(const struct rules_farm *farm);

/* The filters that are asked about frames which arrive on that side, one bit each. */
static inline uint64_t rules_filters_of(const struct rules *rules, enum side side)
{
	uint64_t ret = 0;

	for (unsigned i = 0; i < rules->nfilters; i++)
		ret |= (uint64_t)(rules->filters[i].sides >> side & 1) << i;
	return ret;
}

#endif
