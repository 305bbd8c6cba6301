#include <mbsgreet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "help.h"

/* The word of a language in the file of greetings; NULL when there is none. */
static const char *find_word(const char *path, const char *language)
{
    static char line[256];
    size_t length = strlen(language);
    FILE *file = fopen(path, "r");

    if (!file)
        return NULL;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, language, length) == 0 && line[length] == ' ') {
            fclose(file);
            return line + length + 1;
        }
    }
    fclose(file);
    return NULL;
}

int main(int count, char **arguments)
{
    const char *path = getenv("MBSGREET_FILE");
    const char *language = count > 1 ? arguments[1] : "en";
    const char *name = count > 2 ? arguments[2] : DEFAULT_NAME;
    char greeting[512];
    const char *word;

    if (strcmp(language, "--help") == 0) {
        fputs(help, stdout);
        return 0;
    }
    word = find_word(path ? path : DEFAULT_FILE, language);
    if (!word) {
        fprintf(stderr, "mbsgreet: no greeting for the language '%s'\n", language);
        return 1;
    }
    mbsgreet_format(greeting, sizeof greeting, word, name);
    puts(greeting);
    return 0;
}
