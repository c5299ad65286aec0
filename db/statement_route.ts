import type net from "node:net";
import type { Duplex } from "node:stream";
import type { Address } from "./address.ts";
import type { Query } from "./driver.ts";
import { failingSocket } from "./held_socket.ts";
import { LinkError } from "./link_error.ts";
import { PooledStatements, transactionSettings } from "./pooled.ts";
import { type LinkEvents, watchUnits } from "./pooled_link.ts";
import { knownPooler, type Pooler, poolerOf } from "./pooler.ts";
import { type DriverOptions, pooledParameters, type SessionOptions } from "./session_settings.ts";

/** How the statements of a session reach PostgreSQL: directly, or through a pooler. */
export interface StatementRoute {
  run(query: Query, send: Send): void;
  /** The `socket` of postgres.js. */
  open(driver: DriverOptions): Promise<Duplex>;
  onReady(socket: net.Socket, events: LinkEvents): void;
}

type Send = (query: Query) => void;

interface Driver {
  readonly open: () => Promise<Duplex>;
  /** Called when the statements have failed, since it isn't known whether there is a pooler. */
  readonly onUnknown: () => void;
  /** The error for a statement behind the loss of the connection. */
  readonly lost: () => Error;
}

export function createRoute(
  address: Address,
  options: SessionOptions,
  { open, onUnknown, lost }: Driver,
): StatementRoute {
  let pooler: Pooler | undefined;
  let pooled: PooledStatements | undefined;
  const waiting: Query[] = [];

  const found = (what: Pooler, send: Send) => {
    pooler = what;
    if (what.kind === "none") return;
    pooled = new PooledStatements(options, { isNamed: what.prepared, send, lost });
  };
  const find = async (send: Send) => {
    try {
      found(await poolerOf(address), send);
      for (const query of waiting.splice(0)) route.run(query, send);
    } catch (error) {
      for (const query of waiting.splice(0)) query.reject(error);
      onUnknown();
    }
  };
  const route: StatementRoute = {
    run(query, send) {
      if (pooler === undefined) {
        const known = knownPooler(address);
        if (known === undefined) {
          if (waiting.push(query) === 1) void find(send);
          return;
        }
        found(known, send);
      }
      if (pooled === undefined) send(query);
      else pooled.run(query);
    },
    async open(driver) {
      if (pooled === undefined) return await open();
      if (address.options !== undefined) {
        return failingSocket(
          new LinkError(
            "pooler_parameter",
            "options can't go through the pooler: set them with alter role … in database …",
          ),
        );
      }
      driver.connection = pooledParameters(address, options);
      return await open();
    },
    onReady(socket, events) {
      if (pooled === undefined) return;
      const { limits } = pooled;
      pooled.onReady(
        watchUnits(socket, { settings: transactionSettings(options), limits }, events),
      );
    },
  };
  return route;
}
