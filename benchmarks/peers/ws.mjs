// Node's ws.
import { WebSocket, WebSocketServer } from "ws";

const BURST = Array.from({ length: 40 }, (_, number) => `say ${String(number).padStart(2, "0")} `.padEnd(128, "."));
const room = new Set();
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, backlog: 4096, perMessageDeflate: false });

function tell(message) {
  for (const member of room) if (member.readyState === WebSocket.OPEN) member.send(message);
}

server.on("connection", (socket, request) => {
  if (request.url === "/room") room.add(socket);
  socket.on("close", () => room.delete(socket));
  socket.on("error", () => room.delete(socket));
  socket.on("message", (data) => {
    const message = data.toString();
    if (message.startsWith("say")) tell(message);
    else if (message.startsWith("burst")) BURST.forEach(tell);
    else socket.send(message);
  });
});
server.on("listening", () => console.log(server.address().port));
