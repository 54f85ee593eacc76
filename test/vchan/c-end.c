/*
 * An end of a vchan made of libxenvchan, for tests: unlike vchan-socket-proxy it takes the sizes of
 * the rings.
 *
 *   c-end server DOMAIN PATH send|receive READ_MIN WRITE_MIN
 *   c-end server DOMAIN PATH serve|echo READ_MIN WRITE_MIN
 *   c-end client DOMAIN PATH send|receive
 *
 * `send` copies standard input to the vchan, waits until the other end has read it and closes;
 * `receive` copies the vchan to standard output until the other end closes. `serve` does what the
 * other end says in 11 bytes each time: `e` and a number of ten digits, to send so many single bytes
 * back as they come, or `s` and a number, to take so many bytes and send one when all have come.
 * `echo` sends back what comes until the other end closes.
 */
#include <libxenvchan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char buffer[1 << 16];

static int send_all(struct libxenvchan *ctrl)
{
    ssize_t length;

    while ((length = read(0, buffer, sizeof(buffer))) > 0)
        if (libxenvchan_write(ctrl, buffer, length) != length)
            return 1;
    while (libxenvchan_is_open(ctrl) && libxenvchan_buffer_space(ctrl) < 1 << ctrl->write.order)
        if (libxenvchan_wait(ctrl))
            return 1;
    return length != 0;
}

static int receive_all(struct libxenvchan *ctrl)
{
    int length;

    while ((length = libxenvchan_read(ctrl, buffer, sizeof(buffer))) > 0)
        for (int done = 0; done < length;) {
            ssize_t written = write(1, buffer + done, length - done);

            if (written < 0)
                return 1;
            done += written;
        }
    return 0;
}

static int serve(struct libxenvchan *ctrl)
{
    char command[12] = "";

    while (libxenvchan_recv(ctrl, command, 11) == 11) {
        unsigned long left = strtoul(command + 1, NULL, 10);

        while (left > 0) {
            int most = left < sizeof(buffer) ? (int)left : (int)sizeof(buffer);
            int length = libxenvchan_read(ctrl, buffer, command[0] == 'e' ? 1 : most);

            if (length <= 0)
                return 1;
            left -= length;
            if ((command[0] == 'e' || left == 0) && libxenvchan_write(ctrl, buffer, 1) != 1)
                return 1;
        }
    }
    return 0;
}

static int echo_all(struct libxenvchan *ctrl)
{
    int length;

    while ((length = libxenvchan_read(ctrl, buffer, sizeof(buffer))) > 0)
        if (libxenvchan_write(ctrl, buffer, length) != length)
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    int is_server = argc == 7 && strcmp(argv[1], "server") == 0;
    struct libxenvchan *ctrl;
    int status;

    if (!is_server && argc != 5)
        return 2;
    ctrl = is_server ? libxenvchan_server_init(NULL, atoi(argv[2]), argv[3], atoi(argv[5]),
                                               atoi(argv[6]))
                     : libxenvchan_client_init(NULL, atoi(argv[2]), argv[3]);
    if (!ctrl) {
        perror(argv[1]);
        return 1;
    }
    ctrl->blocking = 1;
    while (is_server && libxenvchan_is_open(ctrl) == 2)
        libxenvchan_wait(ctrl);
    if (strcmp(argv[4], "serve") == 0)
        status = serve(ctrl);
    else if (strcmp(argv[4], "echo") == 0)
        status = echo_all(ctrl);
    else
        status = strcmp(argv[4], "send") == 0 ? send_all(ctrl) : receive_all(ctrl);
    libxenvchan_close(ctrl);
    return status;
}
