#include "filtering.h"

#include "random.h"
#include "suites.h"

#include <bpf/bpf.h>
#include <cap-ng.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>

void filtering_begin(struct filtering *f)
{
	*f = (struct filtering){.rules = fixture_rules(2)};
	f->rules->filters = calloc(RULES_FILTERS_MAX, sizeof(*f->rules->filters));
}

void filtering_add(struct filtering *f, const char *match, enum rules_filter_action action)
{
	struct rules_filter *filter = &f->rules->filters[f->rules->nfilters];

	snprintf(filter->name, sizeof(filter->name), "f%u", f->rules->nfilters++);
	filter->match = strdup(match);
	filter->action = action;
	filter->sides = 1 << OUTSIDE | 1 << INSIDE;
}

int filtering_prepare(struct filtering *f)
{
	int ret;

	capng_get_caps_process();
	capng_updatev(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_PERFMON, CAP_SYS_ADMIN, -1);
	ck_assert_int_eq(capng_apply(CAPNG_SELECT_CAPS), 0);
	ret = filters_prepare(&f->filters, f->rules);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE, CAP_PERFMON, CAP_SYS_ADMIN, -1);
	ck_assert_int_eq(capng_apply(CAPNG_SELECT_CAPS), 0);
	return ret;
}

bool filtering_load(struct filtering *f)
{
	int err;

	engine_start(&f->engine, f->rules);
	err = maps_open(&f->maps, f->rules, &share_whole, 1, NULL, NULL);
	if (err < 0) {
		ck_assert_int_eq(err, -EPERM);
		maps_close(&f->maps);
		engine_stop(&f->engine);
		return false;
	}
	filters_begin(&f->filters, &f->maps.loaded);
	ck_assert_int_eq(filtering_prepare(f), 0);
	return true;
}

void filtering_end(struct filtering *f)
{
	filters_close(&f->filters);
	f->filters = (struct filters){.loaded = NULL};
	maps_close(&f->maps);
	engine_stop(&f->engine);
}

void filtering_activate(struct filtering *f)
{
	const struct mac macs[NSIDES] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};
	struct fastpath_conf *conf = f->maps.conf;

	for (unsigned side = 0; side < NSIDES; side++)
		conf->sides[side] = (struct fastpath_side){
		        .ifindex = 1, .mtu = 1500, .mac = fastpath_mac(macs[side].b)};
	conf->active = conf->filtered = true;
	conf->alive_ns = UINT64_MAX;
	ck_assert_int_eq(loaded_attend(&f->maps.loaded), 0);
}

uint32_t filtering_run(int program, const struct built *built, struct __sk_buff *ctx)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = built->frame.data,
	            .data_size_in = built->frame.len, .ctx_in = ctx, .ctx_size_in = sizeof(*ctx),
	            .ctx_out = ctx, .ctx_size_out = sizeof(*ctx));

	ck_assert_msg(bpf_prog_test_run_opts(program, &opts) == 0,
	              "a frame of %u bytes isn't taken", built->frame.len);
	return opts.retval;
}

uint64_t filtering_says(const struct filtering *f, const struct built *built)
{
	struct __sk_buff ctx = {.gso_size = built->frame.merged};

	require_eq((int32_t)filtering_run(f->filters.next[OUTSIDE], built, &ctx), TC_ACT_UNSPEC);
	return ctx.cb[FASTPATH_CB_MATCHED] | (uint64_t)ctx.cb[FASTPATH_CB_MATCHED + 1] << 32;
}

int filtering_receive(const struct filtering *f, const struct built *built)
{
	struct __sk_buff ctx = {.gso_size = built->frame.merged};

	filtering_run(f->filters.programs[OUTSIDE], built, &ctx);
	return (int)filtering_run(f->maps.loaded.programs[LOADED_RECEIVE + OUTSIDE], built, &ctx);
}
