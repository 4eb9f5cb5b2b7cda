/* The least that a fan-out can cost without joining messages: a loop of send() over the members' sockets.

   A request is a head of four bytes, the first of which says how many frames are to be sent to each member, and then
   the first of the frames; the others differ from it in the number that is in their text. */

#include "server.h"

enum { HEAD = 4, REPLY = 132, REQUEST = HEAD + REPLY, DIGITS = 4 + 4 /* behind a frame's own head and "say " */ };

static int members[MOST], places[MOST], total;
static size_t filled[MOST];
static char requests[MOST][REQUEST];

static void add(int fd) {
    places[fd] = total;
    filled[fd] = 0;
    members[total++] = fd;
}

static void drop(int fd) {
    int last = members[--total];
    members[places[fd]] = last;
    places[last] = places[fd];
    close(fd);
}

static void send_to_all(char *request) {
    char *frame = request + HEAD;
    int times = request[0];
    for (int number = 0; number < times; number++) {
        if (times > 1) {
            frame[DIGITS] = (char)('0' + number / 10);
            frame[DIGITS + 1] = (char)('0' + number % 10);
        }
        for (int i = 0; i < total; i++)
            if (send(members[i], frame, REPLY, MSG_NOSIGNAL) != REPLY && errno != ECONNRESET && errno != EPIPE)
                fail("a member does not read");
    }
}

int main(void) {
    int epoll = epoll_create1(0), listening = listen_and_tell(epoll);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listening) {
                accept_all(epoll, listening, add);
                continue;
            }
            ssize_t got = recv(fd, requests[fd] + filled[fd], REQUEST - filled[fd], 0);
            if (got <= 0) {
                if (got == 0 || errno != EAGAIN)
                    drop(fd);
                continue;
            }
            filled[fd] += (size_t)got;
            if (filled[fd] == REQUEST) {
                filled[fd] = 0;
                send_to_all(requests[fd]);
            }
        }
    }
}
