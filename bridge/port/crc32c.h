/*
 * CRC32c, the checksum of SCTP (RFC 9260, appendix A).
 */
#ifndef BRIDGE_CRC32C_H
#define BRIDGE_CRC32C_H

#include <stdint.h>

/* Of n bytes, as a number whose lowest byte SCTP sends first. */
uint32_t crc32c(const uint8_t *bytes, uint32_t n);

#endif
