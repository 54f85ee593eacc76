/*
 * Plays xenstore requests that were written down before, from many clients at once, so that every
 * daemon is asked the same and as little as possible is measured besides it.
 *
 *   player SOCKET SCRIPT
 *
 * SCRIPT, numbers of 32 bits: how many clients, how many phases; then for each phase and in it for
 * each client: how often to play, how many bytes, and the packets. A client sends a packet when the
 * one before was answered. Packets between a TRANSACTION_START and its TRANSACTION_END are sent in
 * that transaction, and when it ends with EAGAIN they are played again.
 *
 * Prints a line for each phase, once all clients are through: nanoseconds, requests, transactions
 * that were played again, and replies that were errors.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

#define PACKET_MAX (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)

struct client {
    int fd;
    uint32_t turns;
    char *begin, *end, *at;
    /* The TRANSACTION_START of the transaction that is open. */
    char *transaction_at;
    uint32_t transaction;
    size_t received;
    char reply[PACKET_MAX];
};

static unsigned long requests, retries, errors;
static unsigned int busy;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("connect");
    return fd;
}

static struct xsd_sockmsg *request_of(struct client *client)
{
    return (struct xsd_sockmsg *)client->at;
}

static void send_request(struct client *client)
{
    struct xsd_sockmsg *request = request_of(client);
    size_t length = sizeof(*request) + request->len;

    request->tx_id = request->type == XS_TRANSACTION_START ? 0 : client->transaction;
    if (send(client->fd, request, length, 0) != (ssize_t)length)
        die("send");
    requests++;
}

static void failed(struct client *client, const char *error)
{
    struct xsd_sockmsg *request = request_of(client);

    /* Removing what is not there is no error to whoever wants it gone. */
    if (request->type == XS_RM && strcmp(error, "ENOENT") == 0)
        return;
    if (errors++ == 0)
        fprintf(stderr, "operation %u %.*s: %s\n", request->type, (int)request->len,
                client->at + sizeof(*request), error);
}

/* Takes the reply to the request at hand, and sends the next. */
static void answered(struct client *client, uint32_t type, const char *payload)
{
    struct xsd_sockmsg *request = request_of(client);
    char *next = client->at + sizeof(*request) + request->len;

    if (request->type == XS_TRANSACTION_END) {
        client->transaction = 0;
        if (type == XS_ERROR && strcmp(payload, "EAGAIN") == 0) {
            retries++;
            next = client->transaction_at;
            type = XS_TRANSACTION_END;
        }
    }
    if (type == XS_ERROR)
        failed(client, payload);
    else if (type == XS_TRANSACTION_START) {
        client->transaction = strtoul(payload, NULL, 10);
        client->transaction_at = client->at;
    }
    if (next == client->end && --client->turns > 0)
        next = client->begin;
    client->at = next;
    if (next == client->end)
        busy--;
    else
        send_request(client);
}

static void receive(struct client *client)
{
    ssize_t length = recv(client->fd, client->reply + client->received,
                          PACKET_MAX - client->received, MSG_DONTWAIT);

    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0)
        die("the daemon has closed the connection");
    client->received += length;
    for (;;) {
        struct xsd_sockmsg *header = (struct xsd_sockmsg *)client->reply;
        size_t whole = sizeof(*header) + header->len;
        uint32_t type = header->type;
        char payload[64] = "";

        if (client->received < sizeof(*header) || client->received < whole)
            return;
        memcpy(payload, header + 1, header->len < 63 ? header->len : 63);
        client->received -= whole;
        memmove(client->reply, client->reply + whole, client->received);
        if (type != XS_WATCH_EVENT)
            answered(client, type, payload);
    }
}

static uint32_t take_number(char **at)
{
    uint32_t number;

    memcpy(&number, *at, sizeof(number));
    *at += sizeof(number);
    return number;
}

static char *load(const char *path)
{
    FILE *file = fopen(path, "r");
    char *script;
    long size;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        die(path);
    size = ftell(file);
    rewind(file);
    script = malloc(size);
    if (fread(script, 1, size, file) != (size_t)size)
        die(path);
    fclose(file);
    return script;
}

static void play_phase(int epoll, struct client *clients, uint32_t count, char **at)
{
    struct epoll_event events[64];
    struct timespec begin, end;

    requests = retries = errors = busy = 0;
    for (uint32_t i = 0; i < count; i++) {
        clients[i].turns = take_number(at);
        uint32_t length = take_number(at);
        clients[i].begin = clients[i].at = *at;
        clients[i].end = *at += length;
        busy += length > 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint32_t i = 0; i < count; i++)
        if (clients[i].at != clients[i].end)
            send_request(&clients[i]);
    while (busy > 0) {
        int ready = epoll_wait(epoll, events, 64, -1);

        for (int i = 0; i < ready; i++)
            receive(events[i].data.ptr);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lld %lu %lu %lu\n",
           (end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec - begin.tv_nsec, requests,
           retries, errors);
}

int main(int argc, char **argv)
{
    int epoll = epoll_create1(0);
    char *at = argc == 3 ? load(argv[2]) : NULL;
    struct client *clients;
    uint32_t count, phases;

    if (at == NULL)
        return 2;
    count = take_number(&at);
    phases = take_number(&at);
    clients = calloc(count, sizeof(*clients));
    for (uint32_t i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};

        clients[i].fd = connect_to(argv[1]);
        epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event);
    }
    while (phases-- > 0)
        play_phase(epoll, clients, count, &at);
    return 0;
}
