/*
 * The reasons' acts and names, from the one list in why.h.
 */
#include "why.h"

#include <stdint.h>

#define LB_WHY_ACT(enumerator, act, name)  [WHY_##enumerator] = (act),
#define LB_WHY_NAME(enumerator, act, name) [WHY_##enumerator] = (name),

enum lb_act lb_why_act(enum lb_why why)
{
	static const uint8_t acts[] = {LB_WHYS(LB_WHY_ACT)};

	return (enum lb_act)acts[why];
}

const char *lb_why_name(enum lb_why why)
{
	static const char *const names[] = {LB_WHYS(LB_WHY_NAME)};

	return names[why];
}
