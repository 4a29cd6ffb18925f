/*
 * The standard descriptors.
 */
#ifndef BRIDGE_STANDARD_H
#define BRIDGE_STANDARD_H

/*
 * To be called first thing. Where stdin, stdout or stderr is closed, the next file or socket that
 * is opened would be it, and be sent what is printed: it leads to /dev/null then. Returns 0 or a
 * negative errno.
 */
int standard_keep(void);

#endif
