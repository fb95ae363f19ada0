// Node's own API, by which Deno takes a listener that it has inherited.
import http from "node:http";
import process from "node:process";

const server = http.createServer((_request, response) => {
  const body = `ok ${process.pid} deno`;
  response.writeHead(200, { "Content-Length": body.length, "Connection": "close" });
  response.end(body);
});
server.listen({ fd: Number(process.argv[2]) });
process.on("SIGTERM", () => server.close(() => process.exit(0)));
