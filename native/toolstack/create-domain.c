/*
 * Makes a domain, as `xl create --pause` does, from what `xl create --dryrun` prints. Only that way can
 * it be told which domid the domain is to have: xl itself takes the next free one.
 *
 *     create-domain <CONFIG.json     prints the domid; the domain is paused
 *
 * libxl does the work. It starts child processes and waits for them, which it could not within Node.
 */
#include <stdio.h>
#include <stdlib.h>

#include <libxl.h>
#include <libxl_utils.h>

/* All of the stream as a string, which the caller frees; NULL where it cannot be read. */
static char *read_all(FILE *stream) {
    size_t length = 0, room = 1 << 16;
    char *text = malloc(room);

    while (text != NULL) {
        length += fread(text + length, 1, room - 1 - length, stream);
        if (length < room - 1) break;
        room *= 2;
        char *larger = realloc(text, room);
        if (larger == NULL) free(text);
        text = larger;
    }
    if (text != NULL) text[length] = 0;
    return text;
}

static int create(libxl_ctx *context, const char *text) {
    libxl_domain_config config;
    uint32_t domid = 0;
    int result;

    libxl_domain_config_init(&config);
    result = libxl_domain_config_from_json(context, &config, text);
    if (result != 0) fprintf(stderr, "create-domain: this is no configuration of libxl's\n");
    else result = libxl_domain_create_new(context, &config, &domid, NULL, NULL);
    if (result == 0) printf("%u\n", domid);
    libxl_domain_config_dispose(&config);
    return result;
}

int main(void) {
    xentoollog_logger_stdiostream *logger =
        xtl_createlogger_stdiostream(stderr, XTL_WARN, XTL_STDIOSTREAM_HIDE_PROGRESS);
    libxl_ctx *context = NULL;
    char *text = read_all(stdin);
    int result = -1;

    if (logger == NULL || text == NULL) {
        fprintf(stderr, "create-domain: there is no memory\n");
    } else if (libxl_ctx_alloc(&context, LIBXL_VERSION, 0, (xentoollog_logger *)logger) != 0) {
        fprintf(stderr, "create-domain: libxl does not work here: is this dom0?\n");
    } else {
        result = create(context, text);
    }
    libxl_ctx_free(context);
    free(text);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
