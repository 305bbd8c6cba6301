#include "mbsgreet.h"

#include <stdio.h>

int mbsgreet_format(char *buffer, size_t size, const char *word, const char *name)
{
    return snprintf(buffer, size, "%s, %s!", word, name);
}
