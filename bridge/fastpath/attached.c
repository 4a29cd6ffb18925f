#include "attached.h"

#include "tc.h"

#include <errno.h>
#include <string.h>

static const char filters_name[] = "filters";

int attached_add(struct mnl_socket *socket, const struct loaded *loaded, int ifindex,
                 uint16_t priority, enum loaded_program program)
{
	const struct tc_place place = {.ifindex = ifindex, .priority = priority};

	return tc_attach(socket, &place, loaded->programs[program], loaded_name(loaded, program));
}

int attached_set_filters(struct mnl_socket *socket, const struct attached *end, int program)
{
	const struct tc_place place = {.ifindex = end->ifindex, .priority = TC_FILTERS};

	if (!end->ifindex)
		return 0;
	if (program >= 0)
		return tc_attach(socket, &place, program, filters_name);
	tc_detach(socket, &place); /* fails if there is none, which is fine */
	return 0;
}

static bool is_ours(const char *name)
{
	return loaded_is_name(name) || !strcmp(name, filters_name);
}

bool attached_has_strays(struct mnl_socket *socket, int ifindex)
{
	struct tc_place place = {.ifindex = ifindex};
	bool any = false;

	for (place.priority = TC_FILTERS; place.priority <= TC_FLOW6; place.priority++)
		any |= tc_holds(socket, &place, is_ours);
	return any;
}

bool attached_remove_strays(struct mnl_socket *socket, int ifindex)
{
	struct tc_place place = {.ifindex = ifindex};
	bool any = false;

	for (place.priority = TC_FILTERS; place.priority <= TC_FLOW6; place.priority++)
		any |= tc_holds(socket, &place, is_ours) && tc_detach(socket, &place) == 0;
	if (any && tc_is_empty(socket, ifindex))
		tc_remove_hook(socket, ifindex);
	return any;
}

int attached_nobody(struct mnl_socket *socket, const struct loaded *loaded, int ifindex)
{
	struct tc_place place = {.ifindex = ifindex, .priority = TC_RECEIVE};
	int err = tc_add_hook(socket, ifindex);

	if (err == -EEXIST)
		err = 0;
	for (int egress = 0; egress < 2 && !err; egress++) {
		place.egress = egress;
		err = tc_attach(socket, &place, loaded->programs[LOADED_NOBODY],
		                loaded_name(loaded, LOADED_NOBODY));
	}
	return err;
}

int attached_make_promiscuous(struct mnl_socket *socket, struct attached *end,
                              const struct link *link)
{
	int err = 0;

	if (!link->promiscuous && !end->made_promiscuous)
		err = link_set_promiscuous(socket, link->index, true);
	end->made_promiscuous |= !link->promiscuous && !err;
	return err;
}

void attached_remove(struct mnl_socket *socket, struct attached *end)
{
	struct tc_place place = {.ifindex = end->ifindex};

	if (!end->ifindex)
		return;
	for (place.priority = TC_FILTERS; place.priority <= TC_FLOW6; place.priority++)
		tc_detach(socket, &place);
	if (end->hook_made && tc_is_empty(socket, end->ifindex))
		tc_remove_hook(socket, end->ifindex);
	if (end->made_promiscuous)
		link_set_promiscuous(socket, end->ifindex, false);
	*end = (struct attached){0};
}
