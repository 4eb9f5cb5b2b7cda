/* The messages that load and servers exchange, and their frames: the same as in wire.py. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_SIZE = 128, CYCLE = 40, PAYLOAD_SIZE = 256, FRAME_SIZE = PAYLOAD_SIZE + 8 };
enum kind { ECHOED, RAW, WEBSOCKET, GREETED, SOCKETIO, KINDS };

static const char *const KIND_NAMES[KINDS] = {"echoed", "raw", "websocket", "greeted", "socketio"};
static const uint8_t MASK[4] = {0x5a, 0xc3, 0x17, 0x88};

/* Frames of one kind of message: those that a client sends and those that it is to get, CYCLE of them twice over, so
   that up to CYCLE of them can be sent or compared from any place on. */
struct frames {
    size_t request_size, reply_size;
    uint8_t *requests, *replies;
};

static void make_message(char *message, const char *word, int number) {
    memset(message, '.', MESSAGE_SIZE);
    char head[32];
    memcpy(message, head, (size_t)snprintf(head, sizeof head, "%s %02d ", word, number));
}

static size_t wrap(enum kind kind, char *payload, const char *message, size_t size) {
    if (kind == SOCKETIO)
        return (size_t)snprintf(payload, PAYLOAD_SIZE, "42[\"m\",\"%.*s\"]", (int)size, message);
    memcpy(payload, message, size);
    return size;
}

static size_t server_frame(uint8_t *frame, const char *payload, size_t size) {
    frame[0] = 0x81;
    size_t head = 2;
    if (size < 126) {
        frame[1] = (uint8_t)size;
    } else {
        frame[1] = 126, frame[2] = (uint8_t)(size >> 8), frame[3] = (uint8_t)size;
        head = 4;
    }
    memcpy(frame + head, payload, size);
    return head + size;
}

static size_t client_frame(uint8_t *frame, const char *payload, size_t size) {
    size_t head = server_frame(frame, payload, size) - size;
    frame[1] |= 0x80;
    memcpy(frame + head, MASK, 4);
    for (size_t i = 0; i < size; i++)
        frame[head + 4 + i] = (uint8_t)payload[i] ^ MASK[i % 4];
    return head + 4 + size;
}

/* What is sent for a message, and what is to come back. A raw request has a head of four bytes, the first of which
   says how many frames are to be sent, and then the frame. */
static void make_pair(enum kind kind, const char *message, int count, uint8_t *request, size_t *request_size,
                      uint8_t *reply, size_t *reply_size) {
    char payload[PAYLOAD_SIZE];
    size_t size = wrap(kind, payload, message, MESSAGE_SIZE);
    *reply_size = server_frame(reply, payload, size);
    *request_size = client_frame(request, payload, size);
    if (kind == RAW) {
        memset(request, 0, 4);
        request[0] = (uint8_t)count;
        memcpy(request + 4, reply, *reply_size);
        *request_size = *reply_size + 4;
    } else if (kind == ECHOED) {
        memcpy(reply, request, *request_size);
        *reply_size = *request_size;
    }
}

static struct frames make_frames(enum kind kind, const char *word) {
    struct frames made = {0};
    made.requests = malloc(2 * CYCLE * FRAME_SIZE);
    made.replies = malloc(2 * CYCLE * FRAME_SIZE);
    for (int i = 0; i < 2 * CYCLE; i++) {
        char message[MESSAGE_SIZE];
        uint8_t request[FRAME_SIZE], reply[FRAME_SIZE];
        make_message(message, word, i % CYCLE);
        make_pair(kind, message, 1, request, &made.request_size, reply, &made.reply_size);
        memcpy(made.requests + (size_t)i * made.request_size, request, made.request_size);
        memcpy(made.replies + (size_t)i * made.reply_size, reply, made.reply_size);
    }
    return made;
}

static void free_frames(struct frames *frames) {
    free(frames->requests);
    free(frames->replies);
}
