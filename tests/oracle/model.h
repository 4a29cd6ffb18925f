/*
 * A balancer that is slow and obvious: what the README and bridge/OPERATING.md promise, as linear
 * arrays and plain loops.
 *
 * It is told each frame together with the engine's verdict. Where the promise leaves a choice (a
 * SNAT port, one of several equally good servers, the moment within the second in which a flow is
 * looked at) it says which answers are allowed, and goes on with the engine's.
 */
#ifndef ORACLE_MODEL_H
#define ORACLE_MODEL_H

#include "report.h"
#include "seen.h"
#include "statistics.h"

#include "../../lb/lb.h"

enum {
	MODEL_SERVERS = 16,
	MODEL_FARMS = 4,
	MODEL_CHECKS = 2,
	MODEL_STICKIES = 512,
	MODEL_KNOWN = 4096,
	MODEL_SOURCED = 4096,
	MODEL_FRAME_BYTES = 2048,
	MODEL_FLOWS_FACTOR = 16,
	MODEL_NEIGHBOURS = 4096,
	MODEL_PAST = 3,
	MODEL_STAYS = 12,
	MODEL_RATES = 3, /* kinds of RSTs: no flow, port not served, refused */
	MODEL_SOURCES = 1024,
	MODEL_LIMITED = 1024,
};

/* What may be known for sure, or not. */
enum maybe { NO, MAYBE, YES };

enum life {
	LIFE_HALF_OPEN,
	LIFE_OPEN,
	LIFE_CLOSING,
	LIFE_RESTING, /* quarantine */
};

/* One end's half of the conversation, as the packets said. */
struct voice {
	bool spoke;     /* its SYN was seen */
	uint32_t first; /* the number of that */
	uint32_t next;  /* the number after the last that it sent */
	bool answered;  /* it has acknowledged something */
	uint32_t acked; /* the highest number that it acknowledged */
	uint32_t limit; /* up to where it lets the other end send */
	int wscale;
	bool fin;
	uint32_t fin_end; /* the number after its FIN */
	uint64_t bytes;
	uint32_t packets;
};

/* A SYN on a live flow, which its server hasn't answered yet. */
struct syn_model {
	bool waits;
	uint64_t at;
	uint32_t next;
	int wscale;
	struct hop from;
};

/* How a flow's client is answered. */
struct stay_model {
	struct hop hop;
	struct hop origin; /* where the packets came from that made it so */
	int neighbour;     /* by whose word: the model's neighbours[]; -1: nobody's */
};

struct flow_model {
	enum life life;
	uint64_t id, older; /* of a flow that this one was made beside; 0: none */
	bool listed;        /* false: a newer flow has its client's tuple */
	enum maybe there;
	unsigned farm, server, service;
	struct addr client, snat;
	uint16_t client_port, snat_port;
	uint16_t vip_port, server_port; /* whatever becomes of the service */
	struct voice voice[2];
	bool server_waits; /* the server will be in TIME_WAIT */
	bool surely_open;  /* it has been open for sure: then it isn't half-open any more */
	bool doubtful;     /* something odd has been said: how it ends isn't told in advance */
	bool reset_by_us;
	bool untold;     /* ended for its client's limit: its ends hear of it from the next poll */
	bool unrecorded; /* reset by an end: it may be revived, and its record is yet to come */
	enum end reset_by;
	bool condemned;   /* its server is down */
	unsigned rsts[2]; /* that each end got from us when it ended */
	bool believed[2]; /* one of them with all that the other end had sent before */
	uint64_t made, last_sure, last_any, both_fins; /* ns */
	uint64_t rest_least, rest_most;                /* of a resting one: how long, ns */
	uint64_t ended;
	enum life ended_life; /* which it had before */
	enum ended_why ended_why;
	uint64_t order;        /* of its making, or of its end */
	uint32_t name;         /* verdict.flow */
	enum maybe accepted;   /* its last packet */
	enum maybe begun_anew; /* by its last packet */
	struct syn_model again;
	bool anew; /* by its last packet, or by another answer to its SYN */
	struct stay_model stays[MODEL_STAYS]; /* one of these is so; more than that: anything */
	unsigned nstays;
};

/* Somebody who has said where he is. */
struct neighbour_model {
	struct addr addr;
	struct hop hop, past[MODEL_PAST]; /* the latest first */
	unsigned npast;
	bool unsure; /* it may have made room for another one since it last spoke, or found none */
};

struct check_model {
	enum maybe up; /* MAYBE: nothing is known yet */
	unsigned streak;
	bool failed;    /* the last one */
	uint64_t since; /* when it began to contradict what is known: model.results */
};

struct server_model {
	enum health_verdict health;
	bool returned; /* it was down, or away: since when it is up counts */
	bool late;     /* there since a reload only, or known again since: its next return counts */
	uint64_t since;
	struct check_model checks[MODEL_CHECKS];
	uint64_t all_good; /* when its last results were last all good: model.results */
	uint64_t total, ok, failed;
	uint32_t turns;     /* taken since its farm's candidates changed */
	uint32_t passed;    /* times in a row that an equal was preferred */
	double connect;     /* ns, mean when it last answered */
	uint64_t connected; /* when that was */
	bool connect_is_unsure;
};

/* A client who has opened a connection, or may have. */
struct known {
	struct addr client;
	uint64_t until;    /* so long he is known for sure */
	uint64_t second;   /* of his last SYN */
	unsigned asked[2]; /* SYNs in that second, and in the one before */
};

/* A client and a server of a farm with persist that it has had. */
struct sticky {
	unsigned server;
	struct addr client;
	uint64_t noted;   /* when a connection was last made */
	uint64_t used;    /* when one of his connections had a packet last */
	uint64_t evicted; /* how many had been forgotten for lack of room by then */
};

/* Which server a client of a farm with source or hash scheduling got, out of which. */
struct sourced {
	unsigned farm, server, port; /* port: of hash scheduling */
	struct addr client;
	uint32_t candidates; /* as bits */
};

/* RSTs of a kind that must, and that may, be sent now. */
struct rate_model {
	double least, most;
	uint64_t at; /* ns */
};

/* Those that may be sent to a network. */
struct source_model {
	unsigned kind;
	struct addr client;
	double tokens;
	uint64_t at;
};

/* What a client of a farm with limits may still do. */
struct limited {
	unsigned farm;
	struct addr client;
	double asked, opened; /* connections that he may still begin, and open */
	uint64_t at, blocked_least, blocked_most;
	bool unsure;
};

/* A counter where the model compared it last, and how often it has counted since, at least and at
 * most. */
struct counted {
	uint64_t before, least, most;
};

struct model {
	const struct rules *rules;
	struct mac macs[NSIDES];
	/* nflows, in no order; with those of which it can't be told if they still rest, more than
	 * the table holds */
	struct flow_model *flows;
	unsigned nflows;
	struct neighbour_model *neighbours;
	unsigned nneighbours;
	uint64_t neighbours_evicted, neighbours_refused; /* by the engine, so far */
	bool neighbour_refused;                          /* by the present event */
	struct server_model servers[MODEL_SERVERS];
	uint32_t candidates[MODEL_FARMS]; /* when turns were counted last */
	uint32_t last_candidates;         /* of the choice that is being made */
	bool choice_is_unsure;            /* it can't be told if all of them were */
	bool made_room;                   /* somebody was evicted for the flow that is being made */
	bool had_no_port; /* the chosen server hadn't, before room was made for the flow */
	struct sticky stickies[MODEL_STICKIES];
	unsigned nstickies;
	struct known known[MODEL_KNOWN];
	unsigned nknown;
	struct sourced *sourced;
	unsigned nsourced;
	uint64_t order, ids;
	uint64_t results; /* of probes */
	struct rate_model rates[MODEL_RATES];
	struct source_model sources[MODEL_SOURCES];
	unsigned nsources;
	struct limited limited[MODEL_LIMITED];
	unsigned nlimited;
	struct addr denied[MODEL_FARMS];   /* a client that the farm denies; zeros: none */
	struct addr exempt[MODEL_FARMS];   /* likewise, whom no limit but that concerns */
	struct statistics counts;          /* what must have been counted so far */
	struct counted counted[NCOUNTERS]; /* those that are told by ranges */
	/* clients that the engine has forgotten for lack of room: before the burst, and by now */
	uint64_t stickies_evicted_before, stickies_evicted;
	/*
	 * what the engine did in the burst that is being told: flows that a RST ended, and revived
	 */
	uint64_t resets, revivals;
	struct ended *ended; /* records that wait to be explained */
	unsigned nended;
	uint64_t now, reloaded;
	bool moved; /* since the last poll */
};

void model_init(struct model *model, const struct rules *rules, const struct mac macs[NSIDES],
                lb_time now);
void model_free(struct model *model);

/* Before a burst is told, or a poll: the records of flows that the engine says ended in it. */
void model_expect(struct model *model, struct ended *ended, unsigned n,
                  const struct statistics *after);

/* A frame as it came in, as it is now, and what was decided. */
void model_frame(struct model *model, const struct frame *before, const struct frame *after,
                 const struct verdict *verdict, lb_time now);

/* If what the engine does with a frame can only be told when it comes last in its burst. */
bool model_wants_last(struct model *model, const struct frame *frame);

/* What lb_poll() gave, until there was no more. */
void model_poll(struct model *model, const struct own *owns, unsigned n, lb_time now);

/* lb_probed()'s result, and what the server's health is now. */
void model_probed(struct model *model, unsigned server, unsigned check, bool ok, bool changed,
                  enum health_verdict health, lb_time now);

/*
 * Other rules from now on, with what lb_reload() was given: map says where each server of the rules
 * before is. These must still be there.
 */
void model_reload(struct model *model, const struct rules *rules, const uint16_t *map, lb_time now);

/* After each of these. */
void model_compare(struct model *model, const struct statistics *statistics);

#endif
