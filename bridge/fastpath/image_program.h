/*
 * What makes images of frames (image.bpf.c), as bytes.
 */
#ifndef BRIDGE_IMAGE_PROGRAM_H
#define BRIDGE_IMAGE_PROGRAM_H

#include <stddef.h>

extern const unsigned char image_program[]; /* an ELF file */
extern const size_t image_program_bytes;

#endif
