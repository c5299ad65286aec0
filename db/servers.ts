/*
 * After a failover an address leads to another server, while old connections still lead to the one
 * before. A statement's error shows it: all sessions of the process with that address then leave.
 */

/** The sessions leave at most this often, in ms: a server may stay read-only. */
const MIN_INTERVAL_MS = 500;

interface Server {
  readonly listeners: Set<() => void>;
  /** By this process's clock, in ms. */
  leftAt: number;
  nextDeparture: ReturnType<typeof setTimeout> | undefined;
}

const servers = new Map<string, Server>();

/** Calls `leave` when the sessions of this address have to leave their server, until disposed. */
export function onWrongServer(address: string, leave: () => void): Disposable {
  const server = servers.get(address) ??
    { listeners: new Set(), leftAt: -Infinity, nextDeparture: undefined };
  servers.set(address, server);
  const listener = () => leave();
  server.listeners.add(listener);
  return {
    [Symbol.dispose]() {
      server.listeners.delete(listener);
      if (server.listeners.size > 0) return;
      clearTimeout(server.nextDeparture);
      if (servers.get(address) === server) servers.delete(address);
    },
  };
}

/**
 * Reports that a connection of this address leads to a server that no longer serves: see
 * `isWrongServer`. A report within {@link MIN_INTERVAL_MS} of the last departure takes effect
 * after it.
 *
 * @param openedAt when the connection was opened, by `performance.now()`: one from before the last
 * departure says nothing about the server of the others
 */
export function reportWrongServer(address: string, openedAt: number): void {
  const server = servers.get(address);
  if (server === undefined || server.nextDeparture !== undefined) return;
  if (openedAt < server.leftAt) return;
  const waitMs = server.leftAt + MIN_INTERVAL_MS - performance.now();
  if (waitMs <= 0) leave(server);
  else server.nextDeparture = setTimeout(leave, waitMs, server);
}

function leave(server: Server): void {
  server.nextDeparture = undefined;
  server.leftAt = performance.now();
  for (const listener of [...server.listeners]) listener();
}
