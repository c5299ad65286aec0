import net from "node:net";

/** Where PostgreSQL listens, as postgres.js tells it. */
export interface Target {
  readonly host: string[];
  readonly port: number[];
  readonly path: string | false;
}

/** @param responseTimeoutMs how long an answer may take before the connection is dropped; 0: for ever */
export function openSocket({ host, port, path }: Target, responseTimeoutMs: number): net.Socket {
  const socket = path ? net.connect(path) : net.connect(port[0] ?? 5432, host[0] ?? "localhost");
  let hasData = 0;
  socket.on("data", () => hasData = socket.bytesWritten);
  // 0 is no timeout here as well.
  socket.setTimeout(responseTimeoutMs);
  // A connection that merely has nothing to do is silent as well, and may stay.
  socket.on("timeout", () => {
    if (socket.bytesWritten > hasData) socket.destroy();
  });
  return socket;
}
