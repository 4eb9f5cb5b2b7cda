// Socket.IO on Node, with rooms, over WebSocket alone.
import { createServer } from "node:http";
import { Server } from "socket.io";

const BURST = Array.from({ length: 40 }, (_, number) => `say ${String(number).padStart(2, "0")} `.padEnd(128, "."));
const http = createServer();
const io = new Server(http, { transports: ["websocket"], pingInterval: 3600_000 });

io.on("connection", (socket) => {
  if (socket.handshake.query.room) socket.join("room");
  socket.on("m", (message) => {
    if (message.startsWith("say")) io.to("room").emit("m", message);
    else if (message.startsWith("burst")) for (const line of BURST) io.to("room").emit("m", line);
    else socket.emit("m", message);
  });
});
http.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => console.log(http.address().port));
