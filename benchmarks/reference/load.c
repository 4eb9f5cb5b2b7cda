/* Clients by the thousand in one process, with orders on standard input: the same as load.py, which describes them. */

#define _GNU_SOURCE
#include "frames.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clients.h"

/* Between looks when nothing has come: a load that spins would seem to cost all of its core. */
enum { PAUSE_MICROSECONDS = 100 };
enum { WATCHED = 50, LATE_SECONDS = 4, BYSTANDER_MILLISECONDS = 20 };

static const uint8_t *next_request(struct group *group, struct client *client, long count, size_t *size) {
    size_t from = (size_t)(client->sent % CYCLE);
    client->sent += count;
    *size = (size_t)count * group->frames.request_size;
    return group->frames.requests + from * group->frames.request_size;
}

static void ask_for(struct group *group, struct client *client, long count) {
    size_t size;
    const uint8_t *request = next_request(group, client, count, &size);
    send_all(client->fd, request, size);
}

/* Have the first member say something, TIMES over, and the next when all have had all FRAMES of the last. */
static void fanout(struct group *group, int times, int frames) {
    begin(group, "say");
    uint8_t request[FRAME_SIZE], reply[FRAME_SIZE];
    size_t request_size, reply_size, share = (size_t)frames * group->frames.reply_size;
    char message[MESSAGE_SIZE];
    make_message(message, group->kind == RAW ? "say" : "burst", 0);
    make_pair(group->kind, message, frames, request, &request_size, reply, &reply_size);
    double start = now();
    for (int i = 0; i < times; i++) {
        if (frames == 1)
            ask_for(group, group->clients, 1);
        else
            send_all(group->clients->fd, request, request_size);
        size_t until = (size_t)(i + 1) * share;
        for (int missing = group->count; missing;) {
            struct epoll_event events[EVENTS];
            int ready = wait_for(group, events, EVENTS, TIMEOUT_SECONDS * 1000);
            if (!ready)
                give_up("%d members did not get all of message %d", missing, i + 1);
            for (int j = 0; j < ready; j++) {
                struct client *client = events[j].data.ptr;
                size_t before = client->got;
                take(group, client);
                if (client->got > until)
                    give_up("a member got too much");
                missing -= client->got == until && before != until;
            }
        }
    }
    double seconds = now() - start;
    end_of_order(group);
    answer("{\"seconds\": %.6f}", seconds);
}

/* Every STRIDE members, the first WIDTH of them get so many frames, and the others none. */
static void receive(struct group *group, long frames, int seconds, int stride, int width) {
    begin(group, "say");
    size_t share = (size_t)frames * group->frames.reply_size;
    int missing = 0;
    for (int i = 0; i < group->count; i++)
        missing += i % stride < width;
    double last = now(), deadline = last + seconds;
    while (missing) {
        struct epoll_event events[EVENTS];
        int ready = wait_for(group, events, EVENTS, 500);
        last = now();
        if (!ready && last > deadline)
            give_up("%d members did not get all", missing);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            size_t before = client->got;
            take(group, client);
            if (client->got > share || (client->got && (client - group->clients) % stride >= width))
                give_up("a member got too much");
            missing -= client->got == share && before != share;
        }
    }
    end_of_order(group);
    answer("{\"end\": %.6f}", last);
}

static void echo(struct group *group, int in_flight, int milliseconds) {
    begin(group, "echo");
    double start = now(), end = start + milliseconds / 1000.0;
    for (int i = 0; i < group->count; i++)
        ask_for(group, group->clients + i, in_flight);
    long messages = 0, outstanding = (long)in_flight * group->count;
    size_t size = group->frames.reply_size;
    while (outstanding) {
        struct epoll_event events[EVENTS];
        int ready = wait_for(group, events, EVENTS, TIMEOUT_SECONDS * 1000);
        if (!ready)
            give_up("%ld messages did not come back", outstanding);
        int going_on = now() < end;
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            size_t before = client->got / size;
            take(group, client);
            long replies = (long)(client->got / size - before);
            messages += replies;
            if (going_on && replies)
                ask_for(group, client, replies);
            else
                outstanding -= replies;
        }
    }
    answer("{\"messages\": %ld, \"seconds\": %.6f}", messages, now() - start);
}

static int by_size(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double share_of(double *waits, long count, double share) {
    return count ? waits[(long)((double)(count - 1) * share)] * 1000 : 0;
}

/* Clients that are in no room: each sends a message when it is due and the last has come back. How long one takes is
   counted from when it was due, so that waiting for the last counts too. */
struct bystanders {
    struct group *group;
    double *due, *waits;
    long count;
};

static void look_at(struct bystanders *these, double until) {
    struct group *group = these->group;
    if (!group)
        return;
    struct epoll_event events[EVENTS];
    for (int i = wait_for(group, events, EVENTS, 0); i-- > 0;) {
        struct client *client = events[i].data.ptr;
        size_t before = client->got;
        take(group, client);
        if (client->got == before || client->got != (size_t)client->sent * group->frames.reply_size)
            continue;
        double *due = these->due + (client - group->clients);
        these->waits[these->count++] = now() - *due;
        *due += BYSTANDER_MILLISECONDS / 1000.0;
    }
    double moment = now();
    for (int i = 0; i < group->count; i++) {
        struct client *client = group->clients + i;
        int idle = client->got == (size_t)client->sent * group->frames.reply_size;
        if (idle && these->due[i] <= moment && these->due[i] < until)
            ask_for(group, client, 1);
    }
}

static int bystanders_wait(struct bystanders *these) {
    for (int i = 0; these->group && i < these->group->count; i++)
        if (these->group->clients[i].got != (size_t)these->group->clients[i].sent * these->group->frames.reply_size)
            return 1;
    return 0;
}

static void speak(struct group *group, long rate, int milliseconds, struct group *others) {
    begin(group, "say");
    long total = rate * milliseconds / 1000, said = 0, count = 0;
    size_t size = group->frames.reply_size, missing = (size_t)total * (size_t)group->count * size;
    double *waits = malloc(sizeof *waits * (size_t)(total * (group->count / WATCHED + 1)));
    double start = now(), end = start + milliseconds / 1000.0, moment = start;
    struct bystanders bystanders = {.group = others};
    if (others) {
        begin(others, "echo");
        size_t most = (size_t)(milliseconds / BYSTANDER_MILLISECONDS + 2) * (size_t)others->count;
        bystanders.waits = malloc(sizeof *bystanders.waits * most);
        bystanders.due = malloc(sizeof *bystanders.due * (size_t)others->count);
        for (int i = 0; i < others->count; i++) /* not all at once */
            bystanders.due[i] = start + BYSTANDER_MILLISECONDS / 1000.0 * i / others->count;
    }
    while ((missing || bystanders_wait(&bystanders) || moment < end) && moment < end + LATE_SECONDS) {
        for (; said < total && start + (double)said / (double)rate <= now(); said++)
            ask_for(group, group->clients, 1);
        struct epoll_event events[64]; /* few, before the next message may be due */
        int ready = wait_for(group, events, 64, 0);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            size_t before = client->got;
            take(group, client);
            missing -= client->got - before;
            if ((client - group->clients) % WATCHED)
                continue;
            moment = now();
            for (size_t heard = before / size; heard < client->got / size; heard++)
                waits[count++] = moment - (start + (double)heard / (double)rate); /* since it was due */
        }
        if (!ready)
            usleep(PAUSE_MICROSECONDS);
        look_at(&bystanders, end);
        moment = now();
    }
    for (int i = 0; i < group->count; i += WATCHED)
        for (size_t heard = group->clients[i].got / size; heard < (size_t)total; heard++)
            waits[count++] = LATE_SECONDS;
    for (int i = 0; others && i < others->count; i++) /* it waits still */
        if (others->clients[i].got != (size_t)others->clients[i].sent * others->frames.reply_size)
            bystanders.waits[bystanders.count++] = now() - bystanders.due[i];
    qsort(waits, (size_t)count, sizeof *waits, by_size);
    qsort(bystanders.waits, (size_t)bystanders.count, sizeof *waits, by_size);
    answer("{\"p50\": %.3f, \"p99\": %.3f, \"bystanders_p50\": %.3f, \"bystanders_p99\": %.3f, \"missing\": %zu}",
           share_of(waits, count, 0.5), share_of(waits, count, 0.99),
           share_of(bystanders.waits, bystanders.count, 0.5), share_of(bystanders.waits, bystanders.count, 0.99),
           missing);
    free(waits);
    free(bystanders.waits);
    free(bystanders.due);
}

static int obey(char **words, int count) {
    const char *order = words[0];
    if (count == 6 && !strcmp(order, "connect")) {
        connect_all(words[1], words[2], atoi(words[3]), atoi(words[4]), words[5]);
        return 1;
    }
    if (count < 2)
        return 0;
    struct group *group = find_group(words[1]);
    if (!strcmp(order, "exchange") && count == 2)
        exchange(group);
    else if (!strcmp(order, "fanout") && count == 4)
        fanout(group, atoi(words[2]), atoi(words[3]));
    else if (!strcmp(order, "receive") && count == 6)
        receive(group, atol(words[2]), atoi(words[3]), atoi(words[4]), atoi(words[5]));
    else if (!strcmp(order, "echo") && count == 4)
        echo(group, atoi(words[2]), atoi(words[3]));
    else if (!strcmp(order, "speak") && count == 5)
        speak(group, atol(words[2]), atoi(words[3]), strcmp(words[4], "-") ? find_group(words[4]) : NULL);
    else if (!strcmp(order, "close") && count == 2)
        close_group(group);
    else
        return 0;
    return 1;
}

int main(void) {
    static char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        char *words[8], *rest = NULL;
        int count = 0;
        for (char *word = strtok_r(line, " \n", &rest); word && count < 8; word = strtok_r(NULL, " \n", &rest))
            words[count++] = word;
        if (!count)
            continue;
        if (setjmp(given_up))
            answer_error();
        else if (!obey(words, count))
            give_up("no such order: %s", words[0]);
    }
    return 0;
}
