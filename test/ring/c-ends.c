/*
 * Both ends of a block ring made of the macros of xen/io/ring.h, for ring-in-c.test.ts.
 * Takes the ring page on standard input and gives it back on standard output;
 * standard error says whether to notify.
 *
 *   c-ends front START COUNT   initialise a ring at START and push COUNT requests
 *   c-ends back                attach, answer every request, go to sleep
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define mb() __sync_synchronize()
#define rmb() __sync_synchronize()
#define wmb() __sync_synchronize()
#include <xen/io/blkif.h>

static unsigned char page[4096] __attribute__((aligned(4096)));

static void front(blkif_sring_t *shared, uint32_t start, unsigned int count)
{
    blkif_front_ring_t ring;
    int notify;

    SHARED_RING_INIT(shared);
    shared->req_prod = shared->rsp_prod = start;
    shared->req_event = shared->rsp_event = start + 1;
    FRONT_RING_ATTACH(&ring, shared, start, sizeof(page));
    for (unsigned int n = 0; n < count && !RING_FULL(&ring); n++) {
        blkif_request_t *request = RING_GET_REQUEST(&ring, ring.req_prod_pvt);

        memset(request, 0, sizeof(*request));
        request->operation = BLKIF_OP_WRITE;
        request->nr_segments = n % BLKIF_MAX_SEGMENTS_PER_REQUEST;
        request->id = 0xfedcba9800000000 + n;
        request->sector_number = n * 8;
        request->seg[10].last_sect = 7;
        ring.req_prod_pvt++;
    }
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&ring, notify);
    fprintf(stderr, "notify %d\n", notify);
}

static void back(blkif_sring_t *shared)
{
    blkif_back_ring_t ring;
    blkif_request_t request;
    int notify, more;

    BACK_RING_ATTACH(&ring, shared, shared->rsp_prod, sizeof(page));
    while (RING_HAS_UNCONSUMED_REQUESTS(&ring)) {
        blkif_response_t *response = RING_GET_RESPONSE(&ring, ring.rsp_prod_pvt);

        RING_COPY_REQUEST(&ring, ring.req_cons++, &request);
        memset(response, 0, sizeof(*response));
        response->id = request.id;
        response->operation = request.operation;
        response->status = -(int)request.nr_segments;
        ring.rsp_prod_pvt++;
    }
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&ring, notify);
    RING_FINAL_CHECK_FOR_REQUESTS(&ring, more);
    fprintf(stderr, "notify %d\n", notify && !more);
}

int main(int argc, char **argv)
{
    if (fread(page, sizeof(page), 1, stdin) != 1 || argc < 2)
        return 1;
    if (strcmp(argv[1], "front") == 0 && argc == 4)
        front((blkif_sring_t *)page, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    else if (strcmp(argv[1], "back") == 0)
        back((blkif_sring_t *)page);
    else
        return 1;
    return fwrite(page, sizeof(page), 1, stdout) != 1;
}
