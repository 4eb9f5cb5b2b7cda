/* The connections of the load: opening, sending, checking what comes, closing. */

enum { TIMEOUT_SECONDS = 20, UNDERWAY = 200, PER_ADDRESS = 5000, EVENTS = 256, GROUPS = 16 };

struct client {
    int fd, stage, in_ping;
    long sent;       /* messages */
    size_t got;      /* bytes of what the order waits for */
};

struct group {
    char name[64];
    enum kind kind;
    int epoll, count, room;
    struct client *clients;
    struct frames frames;
    char word[8];
};

static struct group groups[GROUPS];
static jmp_buf given_up;
static char why[512];
static uint8_t buffer[256 * 1024];
static int opened;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

__attribute__((noreturn, format(printf, 1, 2))) static void give_up(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(why, sizeof why, format, values);
    va_end(values);
    longjmp(given_up, 1);
}

__attribute__((format(printf, 1, 2))) static void answer(const char *format, ...) {
    va_list values;
    va_start(values, format);
    printf("{\"result\": ");
    vprintf(format, values);
    printf("}\n");
    fflush(stdout);
    va_end(values);
}

static void answer_error(void) {
    printf("{\"error\": \"load: ");
    for (const char *c = why; *c; c++)
        printf(*c == '"' || *c == '\\' ? "\\%c" : *c < ' ' ? " " : "%c", *c);
    printf("\"}\n");
    fflush(stdout);
}

static struct group *find_group(const char *name) {
    for (int i = 0; i < GROUPS; i++)
        if (groups[i].epoll && !strcmp(groups[i].name, name))
            return groups + i;
    give_up("no group %s", name);
}

static int wait_for(struct group *group, struct epoll_event *events, int most, int milliseconds) {
    int ready = epoll_wait(group->epoll, events, most, milliseconds);
    if (ready < 0)
        give_up("epoll_wait: %s", strerror(errno));
    return ready;
}

/* The buffers of a socket hold far more than is ever under way, so that a send takes all or has failed. */
static void send_all(int fd, const void *data, size_t size) {
    if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        give_up("a send failed: %s", strerror(errno));
}

static size_t read_some(struct client *client) {
    ssize_t got = recv(client->fd, buffer, sizeof buffer - 1, 0);
    if (got <= 0)
        give_up("a client was cut off: %s", got ? strerror(errno) : "end of stream");
    return (size_t)got;
}

/* A ping without a payload, which every browser answers by itself: between frames, and perhaps half of it for now. Gives
   how much of it there is. */
static size_t take_ping(struct client *client, const uint8_t *came, size_t size) {
    static const uint8_t PONG[6] = {0x8a, 0x80, 0x5a, 0xc3, 0x17, 0x88};
    size_t taken = 0;
    if (!client->in_ping && came[0] == 0x89)
        client->in_ping = 1, taken = 1;
    if (client->in_ping && taken < size && came[taken] == 0) {
        client->in_ping = 0, taken++;
        send_all(client->fd, PONG, sizeof PONG);
    }
    return taken;
}

/* Read, and compare each byte with what has to come. */
static void take(struct group *group, struct client *client) {
    size_t frame = group->frames.reply_size, cycle = CYCLE * frame, got = read_some(client);
    for (size_t checked = 0; checked < got;) {
        size_t from = client->got % cycle, size = got - checked < cycle ? got - checked : cycle, same = 0;
        const uint8_t *came = buffer + checked, *right = group->frames.replies + from;
        if (!client->in_ping && !memcmp(came, right, size)) {
            same = size;
        } else {
            while (!client->in_ping && came[same] == right[same])
                same++;
            size_t ping = (from + same) % frame ? 0 : take_ping(client, came + same, size - same);
            if (!ping)
                give_up("client %d of %s got other bytes than it should, from byte %zu on: %02x for %02x",
                        (int)(client - group->clients), group->name, client->got + same, came[same], right[same]);
            checked += ping;
        }
        checked += same;
        client->got += same;
    }
}

/* Set what all are to get from now on. */
static void begin(struct group *group, const char *word) {
    if (strcmp(word, group->word)) {
        free_frames(&group->frames);
        group->frames = make_frames(group->kind, word);
        snprintf(group->word, sizeof group->word, "%s", word);
    }
    for (int i = 0; i < group->count; i++)
        group->clients[i].sent = 0, group->clients[i].got = 0;
}

/* See that nothing more came. */
static void end_of_order(struct group *group) {
    struct epoll_event events[EVENTS];
    for (int i = wait_for(group, events, EVENTS, 0); i-- > 0;) {
        struct client *client = events[i].data.ptr;
        size_t before = client->got;
        take(group, client);
        if (client->got != before)
            give_up("a member got too much");
    }
}

static void open_one(struct client *client, int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    if (fd < 0)
        give_up("socket: %s", strerror(errno));
    client->fd = fd;
    struct linger reset = {1, 0}; /* closing leaves no socket behind that waits a minute */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    uint32_t last = 2 + (uint32_t)(opened++ / PER_ADDRESS % 200); /* each address has ports of its own */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000 + last)};
    if (bind(fd, (struct sockaddr *)&address, sizeof address))
        give_up("bind: %s", strerror(errno));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        give_up("connect: %s", strerror(errno));
}

static void watch(struct group *group, struct client *client, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = client};
    if (epoll_ctl(group->epoll, operation, client->fd, &event))
        give_up("epoll_ctl: %s", strerror(errno));
}

static size_t upgrade_request(char *request, size_t size, const char *path) {
    return (size_t)snprintf(request, size,
                            "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                            path);
}

/* One step towards an open connection; gives whether it is there. Stage 0 waits for the connection, 1 for the answer to
   the request, then there are frames that have to come first: a greeting, or Socket.IO's two packets. */
static int step(struct group *group, struct client *client, const char *path) {
    static char request[512];
    size_t size = upgrade_request(request, sizeof request, path);
    if (client->stage == 0) {
        int error = 0;
        socklen_t length = sizeof error;
        if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &length) || error)
            give_up("connect: %s", strerror(error));
        watch(group, client, EPOLLIN, EPOLL_CTL_MOD);
        client->stage = 1;
        if (group->kind != RAW)
            send_all(client->fd, request, size);
        return group->kind == RAW;
    }
    size_t got = read_some(client);
    buffer[got] = 0;
    char *text = (char *)buffer, *frames = text;
    if (group->kind == ECHOED) {
        if (got != size || memcmp(text, request, size))
            give_up("the request did not come back");
        return 1;
    }
    if (client->stage == 1) {
        char *head_end = strstr(text, "\r\n\r\n");
        if (!head_end || strncmp(text, "HTTP/1.1 101 ", 13))
            give_up("an unexpected answer to the handshake: %.200s", text);
        frames = head_end + 4;
        client->stage = 2;
        if (group->kind == WEBSOCKET)
            return 1;
    }
    for (uint8_t *frame = (uint8_t *)frames; frame + 2 <= buffer + got;) {
        size_t length = frame[1] < 126 ? frame[1] + 2u : 4u + (size_t)(frame[2] << 8 | frame[3]);
        if (frame[0] != 0x81 || frame + length > buffer + got)
            give_up("an unexpected frame came first");
        frame += length;
        if (group->kind == GREETED || client->stage++ == 3)
            return 1;
        uint8_t packet[16];
        send_all(client->fd, packet, client_frame(packet, "40", 2)); /* Socket.IO: connect to its namespace */
    }
    return 0;
}

static void connect_all(const char *name, const char *kind, int port, int count, const char *path) {
    struct group *group = NULL;
    for (int i = 0; i < GROUPS && !group; i++)
        if (!groups[i].epoll)
            group = groups + i;
    if (!group)
        give_up("too many groups");
    *group = (struct group){.epoll = epoll_create1(0), .count = count, .clients = calloc((size_t)count, sizeof(struct client))};
    snprintf(group->name, sizeof group->name, "%s", name);
    while (group->kind < KINDS && strcmp(kind, KIND_NAMES[group->kind]))
        group->kind++;
    if (group->kind == KINDS)
        give_up("no such kind: %s", kind);
    double start = now();
    for (int begun = 0, done = 0; done < count;) {
        for (; begun < count && begun - done < UNDERWAY; begun++) {
            open_one(group->clients + begun, port);
            watch(group, group->clients + begun, EPOLLOUT, EPOLL_CTL_ADD);
        }
        struct epoll_event events[EVENTS];
        int ready = wait_for(group, events, EVENTS, TIMEOUT_SECONDS * 1000);
        if (!ready)
            give_up("%d of %d connections were not answered", count - done, count);
        for (int i = 0; i < ready; i++)
            done += step(group, events[i].data.ptr, path);
    }
    answer("{\"seconds\": %.6f}", now() - start);
}

/* Each sends a message with its number, and has to get it back. */
static void exchange(struct group *group) {
    for (int from = 0; from < group->count; from += UNDERWAY) {
        int to = from + UNDERWAY < group->count ? from + UNDERWAY : group->count;
        for (int part = 0; part < 2; part++)
            for (int i = from; i < to; i++) {
                char message[MESSAGE_SIZE];
                uint8_t request[FRAME_SIZE], reply[FRAME_SIZE];
                size_t request_size, reply_size, done = 0;
                make_message(message, "hello", i);
                make_pair(group->kind, message, 1, request, &request_size, reply, &reply_size);
                if (!part)
                    send_all(group->clients[i].fd, request, request_size);
                double deadline = now() + TIMEOUT_SECONDS;
                while (part && done < reply_size) {
                    ssize_t got = recv(group->clients[i].fd, buffer, reply_size - done, 0);
                    if (got == 0 || (got < 0 && (errno != EAGAIN || now() > deadline)))
                        give_up("client %d did not get its message back: %s", i,
                                got ? strerror(errno) : "end of stream");
                    if (got > 0 && memcmp(buffer, reply + done, (size_t)got))
                        give_up("not what was sent came back to client %d", i);
                    if (got > 0)
                        done += (size_t)got;
                    else
                        usleep(200);
                }
            }
    }
    answer("%d", group->count);
}

static void close_group(struct group *group) {
    for (int i = 0; i < group->count; i++)
        close(group->clients[i].fd);
    close(group->epoll);
    free(group->clients);
    free_frames(&group->frames);
    *group = (struct group){0};
    answer("0");
}
