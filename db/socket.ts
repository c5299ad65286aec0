import net from "node:net";

/** The address of PostgreSQL in postgres.js's form. */
export interface Target {
  readonly host: string[];
  readonly port: number[];
  readonly path: string | false;
}

/** @param responseTimeoutMs the connection is dropped when a response takes longer; 0: never */
export function openSocket({ host, port, path }: Target, responseTimeoutMs: number): net.Socket {
  const socket = path ? net.connect(path) : net.connect(port[0] ?? 5432, host[0] ?? "localhost");
  let hasData = 0;
  socket.on("data", () => hasData = socket.bytesWritten);
  socket.setTimeout(responseTimeoutMs);
  // An idle connection may stay.
  socket.on("timeout", () => {
    if (socket.bytesWritten > hasData) socket.destroy();
  });
  return socket;
}
