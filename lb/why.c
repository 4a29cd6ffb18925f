/*
 * The reasons' names, from the one list in why.h.
 */
#include "why.h"

#define LB_WHY_NAME(enumerator, act, name) [WHY_##enumerator] = (name),

const char *lb_why_name(enum lb_why why)
{
	static const char *const names[] = {LB_WHYS(LB_WHY_NAME)};

	return names[why];
}
