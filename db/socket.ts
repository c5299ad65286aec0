import net from "node:net";

/** Where PostgreSQL listens, as postgres.js tells it. */
export interface Target {
  readonly host: string[];
  readonly port: number[];
  readonly path: string | false;
}

/** @param silenceMs how long an answer may take before the connection is dropped; 0: for ever */
export function openSocket({ host, port, path }: Target, silenceMs: number): net.Socket {
  const socket = path ? net.connect(path) : net.connect(port[0] ?? 5432, host[0] ?? "localhost");
  let answered = 0;
  socket.on("data", () => answered = socket.bytesWritten);
  // 0 is no timeout here as well.
  socket.setTimeout(silenceMs);
  // A connection that merely has nothing to do is silent as well, and may stay.
  socket.on("timeout", () => {
    if (socket.bytesWritten > answered) socket.destroy();
  });
  return socket;
}
