// Bun, whose server is uWebSockets, with its publish().
const BURST = Array.from({ length: 40 }, (_, number) => `say ${String(number).padStart(2, "0")} `.padEnd(128, "."));

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    const room = new URL(request.url).pathname === "/room";
    return server.upgrade(request, { data: { room } }) ? undefined : new Response("a WebSocket is needed", { status: 400 });
  },
  websocket: {
    open(socket) {
      if (socket.data.room) socket.subscribe("room");
    },
    message(socket, message) {
      if (message.startsWith("say")) server.publish("room", message);
      else if (message.startsWith("burst")) for (const line of BURST) server.publish("room", line);
      else socket.send(message);
    },
  },
});
console.log(server.port);
