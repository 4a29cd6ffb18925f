/*
 * The file that the statistics are written to.
 */
#ifndef BRIDGE_STATSFILE_H
#define BRIDGE_STATSFILE_H

/*
 * Writes text to the file at path, which is replaced whole, or to stdout if path is "-". Returns 0,
 * or a negative errno with the reason logged.
 */
int statsfile_write(const char *text, const char *path);

#endif
