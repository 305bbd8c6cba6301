#ifndef MBSGREET_H
#define MBSGREET_H

#include <stddef.h>

/* Writes "<word>, <name>!" to buffer, of at most size bytes with the final NUL.
 * Returns the length of the whole greeting, as snprintf(3) does. */
int mbsgreet_format(char *buffer, size_t size, const char *word, const char *name);

#endif
