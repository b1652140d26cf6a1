// ws for Node: PORT echo|fanout; COMPRESS in the environment.
const { WebSocketServer } = require("ws");

const [port, mode] = process.argv.slice(2);
const server = new WebSocketServer({
  port: Number(port),
  host: "127.0.0.1",
  perMessageDeflate: process.env.COMPRESS === "1",
});

server.on("connection", (socket) => {
  socket.on("error", () => {}); // ws closes by itself; unheard, the error would end the process
  socket.on("message", (data, binary) => {
    if (mode === "echo") {
      socket.send(data, { binary });
    } else {
      for (const client of server.clients) if (client !== socket) client.send(data, { binary: false });
    }
  });
});
