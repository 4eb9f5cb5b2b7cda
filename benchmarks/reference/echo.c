/* The least that an echo can cost: epoll, recv, send. What came in one read goes back in one write, of however many
   messages it is; with a number as argument every so many bytes, which is a message, have a write of their own, as a
   server has that answers each message when it finds it. With the argument "discard" nothing is sent back. */

#include "server.h"

static int send_back(int fd, const char *data, size_t size, size_t piece) {
    if (size % piece)
        piece = size; /* the request that opens a connection, or a message that is not here as a whole */
    for (size_t at = 0; at < size; at += piece) {
        size_t left = size - at < piece ? size - at : piece;
        if (send(fd, data + at, left, MSG_NOSIGNAL) != (ssize_t)left)
            return 0; /* the client does not read */
    }
    return 1;
}

int main(int count, char **arguments) {
    int discards = count > 1 && !strcmp(arguments[1], "discard"), epoll = epoll_create1(0);
    long given = count > 1 ? atol(arguments[1]) : 0;
    size_t piece = given > 0 ? (size_t)given : SIZE_MAX / 2;
    int listening = listen_and_tell(epoll);
    static char buffer[256 * 1024];
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listening) {
                accept_all(epoll, listening, NULL);
                continue;
            }
            ssize_t got = recv(fd, buffer, sizeof buffer, 0);
            if (got > 0 && !discards && !send_back(fd, buffer, (size_t)got, piece))
                got = 0;
            if (got == 0 || (got < 0 && errno != EAGAIN))
                close(fd);
        }
    }
}
