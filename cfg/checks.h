/*
 * The list of `check`: ports, and how each is checked.
 */
#ifndef CFG_CHECKS_H
#define CFG_CHECKS_H

#include "show.h"

/*
 * Sets the farm's checks from "5060-5061, 443 tls, 80 http /health", or "none". They ascend by
 * port; of one port they keep their order, and none comes twice. Returns 0, -EINVAL with value->why
 * filled in, or -ENOMEM; then the farm keeps those that it has.
 */
int value_checks(struct value *value, struct rules *rules, struct rules_farm *farm);

void show_checks(struct shown *shown, const struct rules *rules, const struct rules_farm *farm);

#endif
